package registry

import (
	"errors"
	"io/fs"
)

// Errors of managing registries and repositories, which no request of the OCI wire can
// meet. Those about something that is there already wrap fs.ErrExist.
var (
	ErrNameExists          = exists("the repository exists already")
	ErrRepositoryNotEmpty  = errors.New("the repository still has images")
	ErrPolicyUnknown       = missing("the repository has no policy")
	ErrPolicyInvalid       = errors.New("the policy is not valid")
	ErrCatalogInvalid      = errors.New("the catalog data is not valid")
	ErrResourceTagInvalid  = errors.New("a tag of the repository is not valid")
	ErrTooManyResourceTags = errors.New("the repository would have too many tags")
	ErrAliasUnknown        = missing("the registry has no such alias")
	ErrAliasInvalid        = errors.New("the alias is not valid")
	ErrAliasTaken          = exists("the alias is not free, or looks too much like one that is not")
	ErrImageExists         = exists("the image exists already and its tag points to it")
	ErrLayerExists         = exists("the repository has the layer already")
	ErrLayerPartTooSmall   = errors.New("a part of the layer, other than the last, is too small")
	ErrUploadEmpty         = errors.New("the upload has no bytes")
)

func exists(text string) error { return &existsError{text} }

type existsError struct{ text string }

func (e *existsError) Error() string { return e.text }
func (e *existsError) Unwrap() error { return fs.ErrExist }
