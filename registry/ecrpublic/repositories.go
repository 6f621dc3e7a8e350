package ecrpublic

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// timestamp is a time as AWS's JSON has it: seconds since 1970, as a number.
type timestamp time.Time

// MarshalJSON implements json.Marshaler.
func (t timestamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(t).UnixMilli())/1000, 'f', 3, 64), nil
}

type repositoryShape struct {
	ARN        string    `json:"repositoryArn"`
	RegistryID string    `json:"registryId"`
	Name       string    `json:"repositoryName"`
	URI        string    `json:"repositoryUri"`
	Created    timestamp `json:"createdAt"`
}

type catalogShape struct {
	Description      string   `json:"description,omitempty"`
	Architectures    []string `json:"architectures,omitempty"`
	OperatingSystems []string `json:"operatingSystems,omitempty"`
	LogoURL          string   `json:"logoUrl,omitempty"`
	About            string   `json:"aboutText,omitempty"`
	Usage            string   `json:"usageText,omitempty"`
	Certified        bool     `json:"marketplaceCertified,omitempty"`
}

type catalogInput struct {
	Description      *string   `json:"description"`
	Architectures    []*string `json:"architectures"`
	OperatingSystems []*string `json:"operatingSystems"`
	Logo             []byte    `json:"logoImageBlob"`
	About            *string   `json:"aboutText"`
	Usage            *string   `json:"usageText"`
}

type tagShape struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

func repositoryARN(account, name string) string {
	return policy.Resource{Account: account, Repository: name}.ARN()
}

func (c *call) repositoryShape(repo meta.Repository) (s repositoryShape, err error) {
	s = repositoryShape{
		ARN: repositoryARN(string(repo.Account), repo.Name), RegistryID: string(repo.Account), Name: repo.Name, Created: timestamp(repo.Created),
	}
	s.URI, err = c.registry.URI(c.req.Context(), repo, c.registry.Host(c.req))
	return s, err
}

func (in *catalogInput) data() *registry.CatalogData {
	if in == nil {
		return nil
	}
	texts := func(list []*string) (out []string) {
		for _, s := range list {
			out = append(out, value(s))
		}
		return out
	}
	return &registry.CatalogData{
		Description: value(in.Description), Architectures: texts(in.Architectures), OperatingSystems: texts(in.OperatingSystems),
		Logo: in.Logo, About: value(in.About), Usage: value(in.Usage),
	}
}

func (c *call) catalogShape(d registry.CatalogData) catalogShape {
	s := catalogShape{
		Description: d.Description, Architectures: d.Architectures, OperatingSystems: d.OperatingSystems, About: d.About, Usage: d.Usage, Certified: d.Certified,
	}
	if d.LogoURL != "" {
		s.LogoURL = c.registry.PublicURL(c.req) + d.LogoURL
	}
	return s
}

// notFound gives the error of a repository that does not exist ECR's words.
func notFound(err error, registryID, name string) error {
	if !errors.Is(err, registry.ErrNameUnknown) {
		return err
	}
	return &exception{Type: "RepositoryNotFoundException", Message: "The repository with name '" + name + "' does not exist in the registry with id '" + registryID + "'"}
}

// about says of an error which repository it is about.
func (c *call) about(err error, registryID, name *string) error {
	return notFound(err, c.account(registryID), value(name))
}

// named is the input of operations on one repository of an account.
type named struct {
	RegistryID *string `json:"registryId"`
	Repository *string `json:"repositoryName"`
}

func (in *named) check(c *call, v *checks) {
	v.registryID(in.RegistryID)
	v.repositoryName(c, in.Repository)
}

// tags reads tags, which must have a key each, and none twice.
func (v *checks) tags(field string, list []struct{ Key, Value *string }) map[string]string {
	v.between(field, len(list), 0, 200)
	tags := map[string]string{}
	for _, t := range list {
		key := value(t.Key)
		if _, twice := tags[key]; twice && v.err == nil {
			v.err = &exception{Type: "InvalidTagParameterException", Message: "the tag '" + key + "' is there twice"}
		}
		tags[key] = value(t.Value)
	}
	return tags
}

func (c *call) createRepository(in *struct {
	Repository *string                        `json:"repositoryName"`
	Catalog    *catalogInput                  `json:"catalogData"`
	Tags       []struct{ Key, Value *string } `json:"tags"`
}) (any, error) {
	var v checks
	v.repositoryName(c, in.Repository)
	tags := v.tags("tags", in.Tags)
	if v.err != nil {
		return nil, v.err
	}
	name := c.repository(nil, in.Repository)
	repo, err := c.actor.CreateRepository(c.req.Context(), name, &registry.CreateOptions{Catalog: in.Catalog.data(), Tags: tags})
	if errors.Is(err, registry.ErrNameExists) {
		return nil, &exception{
			Type:    "RepositoryAlreadyExistsException",
			Message: "The repository with name '" + value(in.Repository) + "' already exists in the registry with id '" + c.identity.Account + "'",
		}
	}
	if err != nil {
		return nil, err
	}
	out := struct {
		Repository repositoryShape `json:"repository"`
		Catalog    catalogShape    `json:"catalogData"`
	}{}
	if out.Repository, err = c.repositoryShape(repo); err != nil {
		return nil, err
	}
	if in.Catalog != nil {
		d, err := c.registry.CatalogOf(c.req.Context(), repo)
		if err != nil {
			return nil, err
		}
		out.Catalog = c.catalogShape(d)
	}
	return out, nil
}

func (c *call) describeRepositories(in *struct {
	RegistryID *string  `json:"registryId"`
	Names      []string `json:"repositoryNames"`
	NextToken  *string  `json:"nextToken"`
	MaxResults *int     `json:"maxResults"`
}) (any, error) {
	var v checks
	v.registryID(in.RegistryID)
	v.page(in.MaxResults)
	if in.Names != nil {
		v.between("repositoryNames", len(in.Names), 1, 100)
		for _, name := range in.Names {
			v.repositoryName(c, &name)
		}
		if in.NextToken != nil || in.MaxResults != nil {
			v.constraint("repositoryNames", "Member must not be specified along with nextToken or maxResults")
		}
	}
	account := c.account(in.RegistryID)
	after, err := c.after(account, in.NextToken)
	if v.err == nil {
		v.err = err
	}
	if v.err != nil {
		return nil, v.err
	}
	var (
		list []meta.Repository
		next *string
	)
	if in.Names != nil {
		for _, name := range in.Names {
			repo, err := c.actor.Repository(c.req.Context(), account+"/"+name)
			if err != nil {
				return nil, notFound(err, account, name)
			}
			list = append(list, repo)
		}
	} else if list, next, err = collect(c, account, in.MaxResults, c.actor.RepositoriesOf(c.req.Context(), account, after), func(r meta.Repository) string { return r.Name }); err != nil {
		return nil, err
	}
	out := struct {
		Repositories []repositoryShape `json:"repositories"`
		NextToken    *string           `json:"nextToken,omitempty"`
	}{[]repositoryShape{}, next}
	for _, repo := range list {
		s, err := c.repositoryShape(repo)
		if err != nil {
			return nil, err
		}
		out.Repositories = append(out.Repositories, s)
	}
	return out, nil
}

func (c *call) deleteRepository(in *struct {
	named
	Force bool `json:"force"`
}) (any, error) {
	var v checks
	if in.check(c, &v); v.err != nil {
		return nil, v.err
	}
	repo, err := c.actor.DeleteRepository(c.req.Context(), c.repository(in.RegistryID, in.Repository), in.Force)
	if errors.Is(err, registry.ErrRepositoryNotEmpty) {
		return nil, &exception{Type: "RepositoryNotEmptyException", Message: "The repository with name '" + value(in.Repository) +
			"' in registry with id '" + c.account(in.RegistryID) + "' cannot be deleted because it still contains images"}
	}
	if err != nil {
		return nil, c.about(err, in.RegistryID, in.Repository)
	}
	s, err := c.repositoryShape(repo)
	return map[string]any{"repository": s}, err
}

func (c *call) getRepositoryCatalogData(in *named) (any, error) {
	var v checks
	if in.check(c, &v); v.err != nil {
		return nil, v.err
	}
	d, err := c.actor.CatalogData(c.req.Context(), c.repository(in.RegistryID, in.Repository))
	if err != nil {
		return nil, c.about(err, in.RegistryID, in.Repository)
	}
	return map[string]any{"catalogData": c.catalogShape(d)}, nil
}

func (c *call) putRepositoryCatalogData(in *struct {
	named
	Catalog *catalogInput `json:"catalogData"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	if require(&v, "catalogData", in.Catalog); v.err != nil {
		return nil, v.err
	}
	d, err := c.actor.PutCatalogData(c.req.Context(), c.repository(in.RegistryID, in.Repository), *in.Catalog.data())
	if err != nil {
		return nil, c.about(err, in.RegistryID, in.Repository)
	}
	return map[string]any{"catalogData": c.catalogShape(d)}, nil
}

type policyShape struct {
	RegistryID string `json:"registryId"`
	Repository string `json:"repositoryName"`
	Text       string `json:"policyText"`
}

// policy makes the answer of an operation on a policy.
func (c *call) policy(in *named, text string, err error) (any, error) {
	if errors.Is(err, registry.ErrPolicyUnknown) {
		return nil, &exception{Type: "RepositoryPolicyNotFoundException", Message: "Repository policy does not exist for the repository with name '" +
			value(in.Repository) + "' in the registry with id '" + c.account(in.RegistryID) + "'"}
	}
	if err != nil {
		return nil, c.about(err, in.RegistryID, in.Repository)
	}
	return policyShape{c.account(in.RegistryID), value(in.Repository), text}, nil
}

func (c *call) getRepositoryPolicy(in *named) (any, error) {
	var v checks
	if in.check(c, &v); v.err != nil {
		return nil, v.err
	}
	text, err := c.actor.RepositoryPolicy(c.req.Context(), c.repository(in.RegistryID, in.Repository))
	return c.policy(in, text, err)
}

func (c *call) deleteRepositoryPolicy(in *named) (any, error) {
	var v checks
	if in.check(c, &v); v.err != nil {
		return nil, v.err
	}
	text, err := c.actor.DeleteRepositoryPolicy(c.req.Context(), c.repository(in.RegistryID, in.Repository))
	return c.policy(in, text, err)
}

func (c *call) setRepositoryPolicy(in *struct {
	named
	Text  *string `json:"policyText"`
	Force bool    `json:"force"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	require(&v, "policyText", in.Text)
	if v.length("policyText", in.Text, 0, 10240); v.err != nil {
		return nil, v.err
	}
	err := c.actor.SetRepositoryPolicy(c.req.Context(), c.repository(in.RegistryID, in.Repository), *in.Text, in.Force)
	return c.policy(&in.named, *in.Text, err)
}

// resource reads the ARN of a repository.
func (v *checks) resource(c *call, arn *string) (account, name string) {
	require(v, "resourceArn", arn)
	v.length("resourceArn", arn, 1, 2048)
	if v.err != nil {
		return "", ""
	}
	rest, ok := strings.CutPrefix(*arn, "arn:aws:ecr-public::")
	account, name, found := strings.Cut(rest, ":repository/")
	if !ok || !found || !registryIDSyntax.MatchString(account) || c.registry.CheckRepositoryName(name) != nil {
		v.constraint("resourceArn", "Member must be the ARN of a repository, such as %s", repositoryARN("123456789012", "name"))
	}
	return account, name
}

func (c *call) listTagsForResource(in *struct {
	ARN *string `json:"resourceArn"`
}) (any, error) {
	var v checks
	account, name := v.resource(c, in.ARN)
	if v.err != nil {
		return nil, v.err
	}
	tags, err := c.actor.RepositoryTags(c.req.Context(), account+"/"+name)
	if err != nil {
		return nil, notFound(err, account, name)
	}
	list := []tagShape{}
	for key, value := range tags {
		list = append(list, tagShape{key, value})
	}
	slices.SortFunc(list, func(a, b tagShape) int { return strings.Compare(a.Key, b.Key) })
	return map[string]any{"tags": list}, nil
}

func (c *call) tagResource(in *struct {
	ARN  *string                         `json:"resourceArn"`
	Tags *[]struct{ Key, Value *string } `json:"tags"`
}) (any, error) {
	var v checks
	account, name := v.resource(c, in.ARN)
	require(&v, "tags", in.Tags)
	tags := v.tags("tags", value(in.Tags))
	if v.err != nil {
		return nil, v.err
	}
	err := c.actor.TagRepository(c.req.Context(), account+"/"+name, tags)
	return struct{}{}, notFound(err, account, name)
}

func (c *call) untagResource(in *struct {
	ARN  *string   `json:"resourceArn"`
	Keys *[]string `json:"tagKeys"`
}) (any, error) {
	var v checks
	account, name := v.resource(c, in.ARN)
	require(&v, "tagKeys", in.Keys)
	if v.between("tagKeys", len(value(in.Keys)), 0, 200); v.err != nil {
		return nil, v.err
	}
	err := c.actor.UntagRepository(c.req.Context(), account+"/"+name, *in.Keys...)
	return struct{}{}, notFound(err, account, name)
}
