package e2e

// An action is what a client does, or must be kept from doing.
type action string

const (
	login            action = "log in"
	pushImage        action = "push a single-platform image"
	pushIndex        action = "push a multi-platform image"
	pullTag          action = "pull by tag"
	pullDigest       action = "pull by digest"
	pullTagNobody    action = "pull by tag without credentials"
	pullDigestNobody action = "pull by digest without credentials"
	pullTagStranger  action = "pull by tag with another account's credentials"
	listTags         action = "list tags"
	attach           action = "attach a referrer"
	discover         action = "discover referrers"
	deleteTag        action = "delete a tag"
	deleteManifest   action = "delete a manifest"
	refusedPassword  action = "be refused with a wrong password"
	refusedNobody    action = "be refused to push without credentials"
	refusedElsewhere action = "be refused to push to another account's alias"
	pushLarge        action = "push and pull a layer of 1 GiB"
)

// A result is what an action comes to.
type result struct {
	refusal string // the words by which the client says that it was refused
	blank   string // why the client does not do it
}

// works is the result of what succeeds. What was pulled is what was pushed.
var works = result{}

func refused(words string) result { return result{refusal: words} }
func blank(why string) result     { return result{blank: why} }

// cure is what people are told who take another account's alias for their own.
const cure = "repositories of your own are named strangers/REPOSITORY"

// enough is why only docker, ctr and crane push 1 GiB: they stand for the ways there are.
const enough = "docker does in a PATCH without a length, crane in one with a length, ctr in a PUT; no client has another way"

// table has the result of every action by every client.
var table = map[string]map[action]result{
	"docker": {
		login:            works,
		pushImage:        works,
		pushIndex:        works,
		pullTag:          works,
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         blank("docker has no command for it"),
		attach:           blank("docker has no command for it"),
		discover:         blank("docker has no command for it"),
		deleteTag:        blank("docker deletes nothing from registries"),
		deleteManifest:   blank("docker deletes nothing from registries"),
		refusedPassword:  refused("unauthorized: the credentials are not valid"),
		refusedNobody:    refused("denied: requested access to the resource is denied"),
		refusedElsewhere: refused(cure),
		pushLarge:        works,
	},
	"ctr": {
		login:            blank("ctr takes credentials with each command"),
		pushImage:        works,
		pushIndex:        works,
		pullTag:          works,
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         blank("ctr has no command for it"),
		attach:           works, // by pushing a manifest that has a subject
		discover:         blank("ctr has no command for it"),
		deleteTag:        blank("ctr deletes nothing from registries"),
		deleteManifest:   blank("ctr deletes nothing from registries"),
		refusedPassword:  refused("401 Unauthorized"),
		refusedNobody:    refused("insufficient_scope: authorization failed"),
		refusedElsewhere: refused("403 Forbidden"),
		pushLarge:        works,
	},
	"podman": {
		login:            works,
		pushImage:        works,
		pushIndex:        works,
		pullTag:          works,
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         works,
		attach:           blank("podman 4 has no command for it"),
		discover:         blank("podman has no command for it"),
		deleteTag:        blank("podman deletes nothing from registries"),
		deleteManifest:   blank("podman deletes nothing from registries"),
		refusedPassword:  refused("invalid username/password"),
		refusedNobody:    refused("denied: requested access to the resource is denied"),
		refusedElsewhere: refused(cure),
		pushLarge:        blank(enough),
	},
	"buildah": {
		login:            works,
		pushImage:        works,
		pushIndex:        works,
		pullTag:          works,
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         blank("buildah has no command for it"),
		attach:           blank("buildah 1.28 has no command for it"),
		discover:         blank("buildah has no command for it"),
		deleteTag:        blank("buildah deletes nothing from registries"),
		deleteManifest:   blank("buildah deletes nothing from registries"),
		refusedPassword:  refused("invalid username/password"),
		refusedNobody:    refused("denied: requested access to the resource is denied"),
		refusedElsewhere: refused(cure),
		pushLarge:        blank(enough),
	},
	"skopeo": {
		login:            works,
		pushImage:        works,
		pushIndex:        works,
		pullTag:          works,
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         works,
		attach:           works, // by copying a manifest that has a subject
		discover:         blank("skopeo has no command for it"),
		deleteTag:        blank("skopeo deletes the manifest that a tag leads to"),
		deleteManifest:   works,
		refusedPassword:  refused("invalid username/password"),
		refusedNobody:    refused("denied: requested access to the resource is denied"),
		refusedElsewhere: refused(cure),
		pushLarge:        blank(enough),
	},
	"crane": {
		login:            works, // which only keeps the credentials
		pushImage:        works,
		pushIndex:        works,
		pullTag:          works,
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         works,
		attach:           works, // by pushing a manifest that has a subject
		discover:         blank("crane has no command for it"),
		deleteTag:        works,
		deleteManifest:   works,
		refusedPassword:  refused("UNAUTHORIZED: the credentials are not valid"), // by a push: logging in asks nobody
		refusedNobody:    refused("UNAUTHORIZED: authentication required"),
		refusedElsewhere: refused(cure),
		pushLarge:        works,
	},
	"regctl": {
		login:            works,
		pushImage:        works,
		pushIndex:        works,
		pullTag:          works,
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         works,
		attach:           works,
		discover:         works,
		deleteTag:        works,
		deleteManifest:   works,
		refusedPassword:  refused("unauthorized"),
		refusedNobody:    refused("unauthorized"),
		refusedElsewhere: refused(cure),
		pushLarge:        blank(enough),
	},
	"helm": {
		login:            works,
		pushImage:        works, // a chart
		pushIndex:        blank("charts are for every platform"),
		pullTag:          works, // by a range of versions, for which helm lists the tags
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         blank("helm has no command for it; its pull by a range of versions lists them"),
		attach:           blank("helm has no command for it: a chart's signature is a layer"),
		discover:         blank("helm has no command for it"),
		deleteTag:        blank("helm deletes nothing from registries"),
		deleteManifest:   blank("helm deletes nothing from registries"),
		refusedPassword:  refused("unauthorized: the credentials are not valid"),
		refusedNobody:    refused("unauthorized: authentication required"),
		refusedElsewhere: refused(cure),
		pushLarge:        blank("a chart is at most a few MiB"),
	},
	"oras-go": {
		login:            works,
		pushImage:        works,
		pushIndex:        works,
		pullTag:          works,
		pullDigest:       works,
		pullTagNobody:    works,
		pullDigestNobody: works,
		pullTagStranger:  works,
		listTags:         works,
		attach:           works,
		discover:         works,
		deleteTag:        blank("oras-go deletes by descriptor, which has no tag"),
		deleteManifest:   works,
		refusedPassword:  refused("unauthorized: the credentials are not valid"),
		refusedNobody:    refused("unauthorized: authentication required"),
		refusedElsewhere: refused(cure),
		pushLarge:        blank(enough),
	},
}
