package manifest_test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/manifest"
)

const (
	image       = "application/vnd.oci.image.manifest.v1+json"
	index       = "application/vnd.oci.image.index.v1+json"
	dockerImage = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"

	config       = "application/vnd.oci.image.config.v1+json"
	dockerConfig = "application/vnd.docker.container.image.v1+json"
	layer        = "application/vnd.oci.image.layer.v1.tar+gzip"
	empty        = "application/vnd.oci.empty.v1+json"
)

// descriptorOf writes a descriptor; more is added to its fields, such as `"platform":{}`.
func descriptorOf(mediaType, digest string, size int, more ...string) string {
	fields := append([]string{fmt.Sprintf(`"mediaType":%q,"digest":%q,"size":%d`, mediaType, digest, size)}, more...)
	return "{" + strings.Join(fields, ",") + "}"
}

// digestN is a digest of the right form, different for each n.
func digestN(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// imageOf and indexOf write documents whose fields, beyond schemaVersion, are given.
func imageOf(fields ...string) string {
	return "{" + strings.Join(append([]string{`"schemaVersion":2`}, fields...), ",") + "}"
}

var (
	someConfig    = `"config":` + descriptorOf(config, digestN(1), 7023)
	someLayers    = `"layers":[` + descriptorOf(layer, digestN(2), 32654) + `,` + descriptorOf(layer, digestN(3), 16724) + `]`
	someManifests = `"manifests":[` + descriptorOf(image, digestN(4), 7143, `"platform":{"architecture":"ppc64le","os":"linux"}`) + `]`
	someImage     = imageOf(`"mediaType":"`+image+`"`, someConfig, someLayers)
	someIndex     = imageOf(`"mediaType":"`+index+`"`, someManifests)
)

// The example of the image specification, in manifest.md.
const specImage = `{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:b5b2b2c507a0944348e0303114d8d93aaaa081732b86451d9bce1f432a537bc7",
    "size": 7023
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0",
      "size": 32654
    },
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:3c3a4604a545cdc127456d94e421cd355bca5b528f4a9c1905b15da2eb4a4c6b",
      "size": 16724
    }
  ],
  "subject": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270",
    "size": 7682
  },
  "annotations": {
    "com.example.key1": "value1",
    "com.example.key2": "value2"
  }
}`

// The example of the image specification, in image-index.md, with every platform field.
const specIndex = `{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "artifactType": "application/vnd.example+type",
  "manifests": [
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "size": 7143,
      "digest": "sha256:e692418e4cbaf90ca69d05a66403747baa33ee08806650b51fab815ad7fc331f",
      "platform": {"architecture": "arm", "os": "windows", "variant": "v7", "os.version": "10.0.14393.1066", "os.features": ["win32k"]}
    },
    {
      "mediaType": "application/vnd.oci.image.index.v1+json",
      "size": 7682,
      "digest": "sha256:601570aaff1b68a61eb9c85b8beca1644e698003e0cdb5bce960f193d265a8b7",
      "artifactType": "application/vnd.example+type",
      "annotations": {"org.opencontainers.image.ref.name": "v1"}
    }
  ]
}`

// specArtifact is the minimal artifact of manifest.md, with the data of its guidance.
const specArtifact = `{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "artifactType": "application/vnd.example+type",
  "config": {
    "mediaType": "application/vnd.oci.empty.v1+json",
    "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "size": 2,
    "data": "e30="
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.empty.v1+json",
      "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
      "size": 2
    }
  ]
}`

func TestDecodeSpecificationExamples(t *testing.T) {
	t.Parallel()
	wantImage := &manifest.Manifest{
		Digest: sha256Of([]byte(specImage)), MediaType: image, ArtifactType: config, Raw: []byte(specImage),
		Config: &manifest.Descriptor{MediaType: config, Digest: "sha256:b5b2b2c507a0944348e0303114d8d93aaaa081732b86451d9bce1f432a537bc7", Size: 7023},
		Layers: []manifest.Descriptor{
			{MediaType: layer, Digest: "sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0", Size: 32654},
			{MediaType: layer, Digest: "sha256:3c3a4604a545cdc127456d94e421cd355bca5b528f4a9c1905b15da2eb4a4c6b", Size: 16724},
		},
		Subject:     &manifest.Descriptor{MediaType: image, Digest: "sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270", Size: 7682},
		Annotations: map[string]string{"com.example.key1": "value1", "com.example.key2": "value2"},
	}
	wantIndex := &manifest.Manifest{
		Digest: sha256Of([]byte(specIndex)), MediaType: index, ArtifactType: "application/vnd.example+type", Raw: []byte(specIndex),
		Manifests: []manifest.Descriptor{
			{MediaType: image, Digest: "sha256:e692418e4cbaf90ca69d05a66403747baa33ee08806650b51fab815ad7fc331f", Size: 7143, Platform: &manifest.Platform{
				Architecture: "arm", OS: "windows", Variant: "v7", OSVersion: "10.0.14393.1066", OSFeatures: []string{"win32k"},
			}},
			{
				MediaType: index, Digest: "sha256:601570aaff1b68a61eb9c85b8beca1644e698003e0cdb5bce960f193d265a8b7", Size: 7682,
				ArtifactType: "application/vnd.example+type", Annotations: map[string]string{"org.opencontainers.image.ref.name": "v1"},
			},
		},
	}
	wantArtifact := &manifest.Manifest{
		Digest: sha256Of([]byte(specArtifact)), MediaType: image, ArtifactType: "application/vnd.example+type", Raw: []byte(specArtifact),
		Config: &manifest.Descriptor{MediaType: empty, Digest: digestEmptyJSON, Size: 2, Data: []byte("{}")},
		Layers: []manifest.Descriptor{{MediaType: empty, Digest: digestEmptyJSON, Size: 2}},
	}
	for raw, want := range map[string]*manifest.Manifest{specImage: wantImage, specIndex: wantIndex, specArtifact: wantArtifact} {
		for _, header := range []string{want.MediaType, ""} {
			got, err := manifest.Decode(header, []byte(raw), manifest.SHA256)
			if err != nil {
				t.Errorf("Decode(%q, %s): %v", header, raw, err)
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Decode(%q, %s): (-want +got)\n%s", header, raw, diff)
			}
			if got.IsIndex() != (want.MediaType == index) {
				t.Errorf("IsIndex() = %v for %s", got.IsIndex(), want.MediaType)
			}
			wantDescriptor := manifest.Descriptor{
				MediaType: want.MediaType, ArtifactType: want.ArtifactType, Digest: want.Digest, Size: int64(len(raw)), Annotations: want.Annotations,
			}
			if diff := cmp.Diff(wantDescriptor, got.Descriptor()); diff != "" {
				t.Errorf("Descriptor(): (-want +got)\n%s", diff)
			}
		}
	}
}

func TestDecodeComputesTheDigest(t *testing.T) {
	t.Parallel()
	sum := sha512.Sum512([]byte(someImage))
	m, err := manifest.Decode(image, []byte(someImage), manifest.SHA512)
	if want := manifest.Digest("sha512:" + hex.EncodeToString(sum[:])); err != nil || m.Digest != want {
		t.Errorf("Decode with sha512: %+v, %v; want %s", m, err, want)
	}
}

// accepted are documents that the specifications allow, by what is particular about them.
var accepted = map[string]struct{ header, raw string }{
	"an image without mediaType":            {image, imageOf(someConfig, someLayers)},
	"an index without mediaType":            {index, imageOf(someManifests)},
	"an image without Content-Type":         {"", someImage},
	"an index without Content-Type":         {"", someIndex},
	"docker's image":                        {dockerImage, imageOf(`"mediaType":"`+dockerImage+`"`, `"config":`+descriptorOf(dockerConfig, digestN(1), 1), someLayers)},
	"docker's list":                         {dockerList, imageOf(`"mediaType":"`+dockerList+`"`, `"manifests":[`+descriptorOf(dockerImage, digestN(1), 1)+`]`)},
	"docker's image without mediaType":      {dockerImage, imageOf(someConfig, someLayers)},
	"OCI parts in docker's list":            {dockerList, imageOf(someManifests)},
	"parameters in Content-Type":            {image + "; charset=utf-8", someImage},
	"parameters without a space":            {image + ";charset=utf-8", someImage},
	"a quoted parameter":                    {image + `; x="a;b, \"c\""`, someImage},
	"upper case in Content-Type":            {strings.ToUpper(image), someImage},
	"upper case and parameters":             {strings.ToUpper(index) + "; Charset=UTF-8", someIndex},
	"an empty list of layers":               {image, imageOf(someConfig, `"layers":[]`)},
	"an empty list of manifests":            {index, imageOf(`"manifests":[]`)},
	"an unknown configuration":              {image, imageOf(`"config":`+descriptorOf("application/vnd.unknown.config.v1+json", digestN(1), 1), someLayers)},
	"an unknown layer":                      {image, imageOf(someConfig, `"layers":[`+descriptorOf("text/x-unknown", digestN(1), 1)+`]`)},
	"an unknown entry of an index":          {index, imageOf(`"manifests":[` + descriptorOf("application/vnd.future.v9+json", digestN(1), 1) + `]`)},
	"an unknown artifact type":              {image, imageOf(`"artifactType":"application/vnd.unknown"`, someConfig, someLayers)},
	"a foreign layer":                       {image, imageOf(someConfig, `"layers":[`+descriptorOf("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", digestN(1), 1, `"urls":["https://example.com/x"]`)+`]`)},
	"a subject that is anything":            {index, imageOf(someManifests, `"subject":`+descriptorOf("application/vnd.unknown", digestN(1), 1))},
	"a configuration of no bytes":           {image, imageOf(`"config":`+descriptorOf("a/b", digestEmpty, 0), someLayers)},
	"the largest size":                      {image, imageOf(someConfig, `"layers":[{"mediaType":"a/b","digest":"`+digestN(1)+`","size":9223372036854775807}]`)},
	"sha512 inside":                         {image, imageOf(`"config":`+descriptorOf(config, "sha512:"+hexes(128), 1), someLayers)},
	"the same layer twice":                  {image, imageOf(someConfig, `"layers":[`+descriptorOf(layer, digestN(1), 1)+`,`+descriptorOf(layer, digestN(1), 1)+`]`)},
	"unknown fields":                        {image, imageOf(someConfig, someLayers, `"org.opencontainers.conformance":{"a":[1,2.5,null,true,{"b":"c"}]}`)},
	"unknown fields in a descriptor":        {image, imageOf(`"config":`+descriptorOf(config, digestN(1), 1, `"x-y":[{}]`), someLayers)},
	"unknown fields in a platform":          {index, imageOf(`"manifests":[` + descriptorOf(image, digestN(1), 1, `"platform":{"os":"linux","architecture":"amd64","features":["sse4"]}`) + `]`)},
	"annotation keys that differ in case":   {image, imageOf(someConfig, someLayers, `"annotations":{"a":"1","A":"2"}`)},
	"annotation keys named like fields":     {image, imageOf(someConfig, someLayers, `"annotations":{"Layers":"1","MEDIATYPE":"2","manifests":"3","manifeſts":"4"}`)},
	"annotations of a descriptor like that": {image, imageOf(`"config":`+descriptorOf(config, digestN(1), 1, `"annotations":{"Size":"1","size":"2","DIGEST":"3"}`), someLayers)},
	"annotations of any text":               {image, imageOf(someConfig, someLayers, `"annotations":{"k":"\u0000 \ud83d\ude00 é </script>"}`)},
	"the same keys in different objects":    {image, imageOf(someConfig, someLayers, `"x":[{"a":1},{"a":2}]`)},
	"data that matches":                     {image, imageOf(`"config":`+descriptorOf(empty, digestEmptyJSON, 2, `"data":"e30="`), someLayers)},
	"data of no bytes":                      {image, imageOf(`"config":`+descriptorOf("a/b", digestEmpty, 0, `"data":""`), someLayers)},
	"data of a subject":                     {image, imageOf(someConfig, someLayers, `"subject":`+descriptorOf(image, digestEmptyJSON, 2, `"data":"e30="`))},
	"white space around":                    {image, " \t\r\n" + someImage + " \t\r\n"},
	"escaped keys":                          {image, strings.Replace(someImage, `"layers"`, `"\u006cayers"`, 1)},
	"fields in another order":               {image, `{` + someLayers + `,` + someConfig + `,"schemaVersion":2}`},
	"ten levels of an unknown field":        {image, imageOf(someConfig, someLayers, `"x":`+strings.Repeat("[", 10)+strings.Repeat("]", 10))},
	"every character of a media type":       {image, imageOf(`"config":`+descriptorOf("aZ0!#$&-^_.+/0aZ!#$&-^_.+", digestN(1), 1), someLayers)},
	"the longest media type":                {image, imageOf(`"config":`+descriptorOf(strings.Repeat("a", 127)+"/"+strings.Repeat("b", 127), digestN(1), 1), someLayers)},
}

func TestDecodeAccepts(t *testing.T) {
	t.Parallel()
	for name, tt := range accepted {
		m, err := manifest.Decode(tt.header, []byte(tt.raw), manifest.SHA256)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, tt.raw)
			continue
		}
		if string(m.Raw) != tt.raw || m.Digest != sha256Of([]byte(tt.raw)) {
			t.Errorf("%s: the bytes are not kept as they came, or have digest %s", name, m.Digest)
		}
		if m.MediaType != strings.ToLower(m.MediaType) || strings.Contains(m.MediaType, ";") {
			t.Errorf("%s: media type %q", name, m.MediaType)
		}
	}
}

// withConfig and withLayer are an image whose descriptor is written by hand.
func withConfig(descriptor string) string { return imageOf(`"config":`+descriptor, someLayers) }
func withLayer(descriptor string) string  { return imageOf(someConfig, `"layers":[`+descriptor+`]`) }
func withSize(size string) string {
	return withLayer(`{"mediaType":"` + layer + `","digest":"` + digestN(1) + `","size":` + size + `}`)
}
func withDigest(digest string) string       { return withLayer(descriptorOf(layer, digest, 1)) }
func withMediaType(mediaType string) string { return withLayer(descriptorOf(mediaType, digestN(1), 1)) }
func withData(digest string, size int, data string) string {
	return withConfig(descriptorOf(empty, digest, size, `"data":"`+data+`"`))
}

// refused are documents that the specifications forbid, or that two readers could take for
// different things.
var refused = map[string]struct{ header, raw string }{
	// What is it? CVE-2021-41190, GHSA-qq97-vm5h-rrhg.
	"image and index in one":                 {image, imageOf(someConfig, someLayers, someManifests)},
	"index and image in one":                 {index, imageOf(someConfig, someLayers, someManifests)},
	"both, without Content-Type":             {"", imageOf(`"mediaType":"`+image+`"`, someConfig, someLayers, someManifests)},
	"docker's image and list in one":         {dockerImage, imageOf(someConfig, someLayers, someManifests)},
	"an image with an empty manifests":       {image, imageOf(someConfig, someLayers, `"manifests":[]`)},
	"an index with layers":                   {index, imageOf(someManifests, someLayers)},
	"an index with empty layers":             {index, imageOf(someManifests, `"layers":[]`)},
	"an index with a config":                 {index, imageOf(someManifests, someConfig)},
	"docker's list with a config":            {dockerList, imageOf(someManifests, someConfig)},
	"manifests under an escaped key":         {image, imageOf(someConfig, someLayers, `"m\u0061nifests":[]`)},
	"an image that is sent as an index":      {index, someImage},
	"an index that is sent as an image":      {image, someIndex},
	"image content sent as an index":         {index, imageOf(someConfig, someLayers)},
	"index content sent as an image":         {image, imageOf(someManifests)},
	"docker's mediaType, OCI's Content-Type": {image, imageOf(`"mediaType":"`+dockerImage+`"`, someConfig, someLayers)},
	"OCI's mediaType, docker's Content-Type": {dockerImage, someImage},
	"a mediaType with parameters":            {image, imageOf(`"mediaType":"`+image+`; charset=utf-8"`, someConfig, someLayers)},
	"an unknown mediaType":                   {image, imageOf(`"mediaType":"application/json"`, someConfig, someLayers)},
	"a mediaType that is a number":           {image, imageOf(`"mediaType":2`, someConfig, someLayers)},
	"neither Content-Type nor mediaType":     {"", imageOf(someConfig, someLayers)},
	"an empty mediaType, no Content-Type":    {"", imageOf(`"mediaType":""`, someConfig, someLayers)},
	"Content-Type application/json":          {"application/json", someImage},
	"Content-Type text/plain":                {"text/plain; charset=utf-8", someImage},
	"Content-Type octet-stream":              {"application/octet-stream", someImage},
	"Content-Type of a configuration":        {config, someImage},
	"Content-Type with a suffix":             {image + "x", imageOf(someConfig, someLayers)},
	"two Content-Types":                      {image + ", " + index, imageOf(someConfig, someLayers)},
	"two Content-Types without a space":      {image + "," + index, imageOf(someConfig, someLayers)},
	"a malformed Content-Type":               {image + "; charset", someImage},
	"OCI's retired artifact manifest":        {"application/vnd.oci.artifact.manifest.v1+json", `{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"a/b","blobs":[]}`},

	// Keys that readers treat differently.
	"a repeated key":                      {image, imageOf(someConfig, someLayers, someLayers)},
	"a repeated mediaType":                {image, imageOf(`"mediaType":"`+image+`"`, `"mediaType":"`+image+`"`, someConfig, someLayers)},
	"a repeated key, once escaped":        {image, imageOf(someConfig, someLayers, `"\u006cayers":[]`)},
	"a repeated key in a descriptor":      {image, withConfig(descriptorOf(config, digestN(1), 1, `"size":2`))},
	"a repeated annotation":               {image, imageOf(someConfig, someLayers, `"annotations":{"a":"1","a":"2"}`)},
	"a repeated key in a platform":        {index, imageOf(`"manifests":[` + descriptorOf(image, digestN(1), 1, `"platform":{"os":"linux","os":"windows","architecture":"amd64"}`) + `]`)},
	"a repeated unknown key":              {image, imageOf(someConfig, someLayers, `"x":1,"x":2`)},
	"a repeated key in an unknown one":    {image, imageOf(someConfig, someLayers, `"x":[{"y":1,"y":2}]`)},
	"Layers beside layers":                {image, imageOf(someConfig, someLayers, `"Layers":[]`)},
	"LAYERS alone":                        {image, imageOf(someConfig, `"LAYERS":[]`)},
	"Manifests in an image":               {image, imageOf(someConfig, someLayers, `"Manifests":[]`)},
	"MediaType":                           {image, imageOf(`"MediaType":"`+image+`"`, someConfig, someLayers)},
	"SchemaVersion":                       {image, `{"SchemaVersion":2,` + someConfig + `,` + someLayers + `}`},
	"Digest in a descriptor":              {image, withConfig(descriptorOf(config, digestN(1), 1, `"Digest":"`+digestN(2)+`"`))},
	"SIZE in a descriptor":                {image, withConfig(descriptorOf(config, digestN(1), 1, `"SIZE":2`))},
	"OS in a platform":                    {index, imageOf(`"manifests":[` + descriptorOf(image, digestN(1), 1, `"platform":{"OS":"linux","architecture":"amd64"}`) + `]`)},
	"Annotations":                         {image, imageOf(someConfig, someLayers, `"Annotations":{}`)},
	"Subject":                             {image, imageOf(someConfig, someLayers, `"Subject":`+descriptorOf(image, digestN(1), 1))},
	"manifeſts (long s) in an image":      {image, imageOf(someConfig, someLayers, `"manifeſts":[`+descriptorOf(image, digestN(4), 1)+`]`)},
	"layerſ (long s) beside layers":       {image, imageOf(someConfig, someLayers, `"layerſ":[]`)},
	"layerſ (long s) in an index":         {index, imageOf(someManifests, `"layerſ":[`+descriptorOf(layer, digestN(4), 1)+`]`)},
	"ſize (long s) in a descriptor":       {image, withConfig(descriptorOf(config, digestN(1), 1, `"ſize":2`))},
	"digeſt (long s) in a descriptor":     {image, withConfig(descriptorOf(config, digestN(1), 1, `"dige\u017ft":"`+digestN(2)+`"`))},
	"ſubject (long s), an invisible edge": {image, imageOf(someConfig, someLayers, `"ſubject":`+descriptorOf(image, digestN(1), 1))},
	"oſ (long s) in a platform":           {index, imageOf(`"manifests":[` + descriptorOf(image, digestN(1), 1, `"platform":{"os":"linux","oſ":"windows","architecture":"amd64"}`) + `]`)},
	"ſchemaVersion (long s) before it":    {image, `{"ſchemaVersion":1,"schemaVersion":2,` + someConfig + `,` + someLayers + `}`},
	"annotationſ (long s)":                {image, imageOf(someConfig, someLayers, `"annotations":{"a":"1"},"annotationſ":{"a":"2"}`)},

	// What surrounds the document.
	"nothing":                     {image, ""},
	"white space":                 {image, " \n"},
	"null":                        {image, "null"},
	"a number":                    {image, "2"},
	"a string":                    {image, `"x"`},
	"a list":                      {image, "[" + someImage + "]"},
	"an empty object":             {image, "{}"},
	"a second document":           {image, someImage + someIndex},
	"a second document on a line": {image, someImage + "\n" + someIndex},
	"rubbish behind":              {image, someImage + "x"},
	"a brace behind":              {image, someImage + "}"},
	"a NUL behind":                {image, someImage + "\x00"},
	"a comma behind":              {image, someImage + ","},
	"cut short":                   {image, someImage[:len(someImage)-1]},
	"cut in a string":             {image, someImage[:len(someImage)/2]},
	"a trailing comma":            {image, strings.TrimSuffix(someImage, "}") + ",}"},
	"a comment":                   {image, strings.TrimSuffix(someImage, "}") + "/* */}"},
	"a byte order mark":           {image, "\ufeff" + someImage},
	"UTF-16":                      {image, "{\x00}\x00"},
	"single quotes":               {image, strings.ReplaceAll(someImage, `"`, `'`)},
	"not UTF-8 in a value":        {image, imageOf(someConfig, someLayers, "\"x\":\"\xff\"")},
	"not UTF-8 in a key":          {image, imageOf(someConfig, someLayers, "\"\xc3\x28\":1")},
	"not UTF-8 in an annotation":  {image, imageOf(someConfig, someLayers, "\"annotations\":{\"a\":\"\xed\xa0\x80\"}")},
	"overlong UTF-8":              {image, imageOf(someConfig, someLayers, "\"x\":\"\xc0\xaf\"")},
	"not UTF-8 behind":            {image, someImage + "\xff"},
	"a control character":         {image, imageOf(someConfig, someLayers, "\"x\":\"\x01\"")},
	"deep lists":                  {image, imageOf(someConfig, someLayers, `"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000))},
	"deep objects":                {image, imageOf(someConfig, someLayers, `"x":`+strings.Repeat(`{"x":`, 5000)+"1"+strings.Repeat("}", 5000))},
	"deep and never closed":       {image, strings.Repeat(`{"x":[`, 100_000)},
	"lists without end":           {image, strings.Repeat("[", manifest.MaxSize)},

	// Fields that must be there, and of the right type.
	"no schemaVersion":             {image, `{` + someConfig + `,` + someLayers + `}`},
	"schemaVersion 0":              {image, `{"schemaVersion":0,` + someConfig + `,` + someLayers + `}`},
	"schemaVersion 3":              {image, `{"schemaVersion":3,` + someConfig + `,` + someLayers + `}`},
	"schemaVersion 2.5":            {image, `{"schemaVersion":2.5,` + someConfig + `,` + someLayers + `}`},
	"schemaVersion in a string":    {image, `{"schemaVersion":"2",` + someConfig + `,` + someLayers + `}`},
	"no config":                    {image, imageOf(someLayers)},
	"config null":                  {image, imageOf(`"config":null`, someLayers)},
	"config that is a list":        {image, imageOf(`"config":[]`, someLayers)},
	"config that is a digest":      {image, imageOf(`"config":"`+digestN(1)+`"`, someLayers)},
	"config that is empty":         {image, withConfig("{}")},
	"layers that are an object":    {image, imageOf(someConfig, `"layers":{}`)},
	"a layer that is null":         {image, withLayer("null")},
	"a layer that is a digest":     {image, withLayer(`"` + digestN(1) + `"`)},
	"no manifests in an index":     {index, imageOf(`"mediaType":"` + index + `"`)},
	"manifests that are an object": {index, imageOf(`"manifests":{}`)},
	"an entry that is null":        {index, imageOf(`"manifests":[null]`)},
	"an entry without digest":      {index, imageOf(`"manifests":[{"mediaType":"` + image + `","size":1}]`)},
	"a platform that is a string":  {index, imageOf(`"manifests":[` + descriptorOf(image, digestN(1), 1, `"platform":"linux/amd64"`) + `]`)},
	"a subject without digest":     {image, imageOf(someConfig, someLayers, `"subject":{"mediaType":"`+image+`","size":1}`)},
	"a subject that is a digest":   {image, imageOf(someConfig, someLayers, `"subject":"`+digestN(1)+`"`)},
	"annotations with a number":    {image, imageOf(someConfig, someLayers, `"annotations":{"a":1}`)},
	"annotations with an object":   {image, imageOf(someConfig, someLayers, `"annotations":{"a":{}}`)},
	"annotations that are a list":  {image, imageOf(someConfig, someLayers, `"annotations":[]`)},
	"urls that are a string":       {image, withConfig(descriptorOf(config, digestN(1), 1, `"urls":"https://example.com"`))},
	"artifactType with a number":   {image, imageOf(`"artifactType":1`, someConfig, someLayers)},
	"artifactType not RFC 6838":    {image, imageOf(`"artifactType":"not a media type"`, someConfig, someLayers)},
	"an entry's artifactType":      {index, imageOf(`"manifests":[` + descriptorOf(image, digestN(1), 1, `"artifactType":"not a media type"`) + `]`)},

	// Descriptors.
	"a negative size":               {image, withSize("-1")},
	"the most negative size":        {image, withSize("-9223372036854775808")},
	"a size that is no integer":     {image, withSize("1.5")},
	"a size written as a float":     {image, withSize("1.0")},
	"a size with an exponent":       {image, withSize("1e3")},
	"a size in a string":            {image, withSize(`"1"`)},
	"a size beyond int64":           {image, withSize("9223372036854775808")},
	"a size without end":            {image, withSize(strings.Repeat("9", 400))},
	"a size with a leading zero":    {image, withSize("01")},
	"a size with a plus":            {image, withSize("+1")},
	"a size in hexadecimal":         {image, withSize("0x10")},
	"a size that is null":           {image, withSize("null")},
	"no size":                       {image, withLayer(`{"mediaType":"` + layer + `","digest":"` + digestN(1) + `"}`)},
	"a subject without size":        {image, imageOf(someConfig, someLayers, `"subject":{"mediaType":"`+image+`","digest":"`+digestN(1)+`"}`)},
	"a subject with negative size":  {image, imageOf(someConfig, someLayers, `"subject":`+descriptorOf(image, digestN(1), -1))},
	"no digest":                     {image, withLayer(`{"mediaType":"` + layer + `","size":1}`)},
	"an empty digest":               {image, withDigest("")},
	"an upper-case digest":          {image, withDigest("sha256:" + strings.ToUpper(hexes(64)))},
	"a short digest":                {image, withDigest("sha256:abc")},
	"an md5 digest":                 {image, withDigest("md5:" + hexes(32))},
	"a digest that is a path":       {image, withDigest("sha256:../../../etc/passwd")},
	"a bad digest in an index":      {index, imageOf(`"manifests":[` + descriptorOf(image, "sha256:x", 1) + `]`)},
	"a bad digest of a subject":     {image, imageOf(someConfig, someLayers, `"subject":`+descriptorOf(image, "sha256:x", 1))},
	"no mediaType":                  {image, withLayer(`{"digest":"` + digestN(1) + `","size":1}`)},
	"an empty media type":           {image, withMediaType("")},
	"no subtype":                    {image, withMediaType("application")},
	"an empty subtype":              {image, withMediaType("application/")},
	"an empty type":                 {image, withMediaType("/x")},
	"two slashes":                   {image, withMediaType("a/b/c")},
	"a space":                       {image, withMediaType("a/b c")},
	"parameters in a descriptor":    {image, withMediaType("text/plain; charset=utf-8")},
	"a type that begins with a dot": {image, withMediaType("./b")},
	"a subtype that begins so":      {image, withMediaType("a/+b")},
	"a type of 128 characters":      {image, withMediaType(strings.Repeat("a", 128) + "/b")},
	"a subtype of 128 characters":   {image, withMediaType("a/" + strings.Repeat("b", 128))},
	"a media type not in ASCII":     {image, withMediaType("text/é")},

	// Embedded content.
	"data of another digest": {image, withData(digestN(1), 2, "e30=")},
	"data of another size":   {image, withData(digestEmptyJSON, 3, "e30=")},
	"data of both":           {image, withData(digestN(1), 1, "e30=")},
	"data that is empty":     {image, withData(digestEmptyJSON, 2, "")},
	"data without padding":   {image, withData(digestEmptyJSON, 2, "e30")},
	"data that is no base64": {image, withData(digestEmptyJSON, 2, "!!!!")},
	"data that is a list":    {image, withConfig(descriptorOf(empty, digestEmptyJSON, 2, `"data":[123,125]`))},
	"data of a layer":        {image, withLayer(descriptorOf(empty, digestN(1), 2, `"data":"e30="`))},
	"data of an entry":       {index, imageOf(`"manifests":[` + descriptorOf(image, digestN(1), 2, `"data":"e30="`) + `]`)},
	"data of a subject":      {image, imageOf(someConfig, someLayers, `"subject":`+descriptorOf(image, digestN(1), 2, `"data":"e30="`))},
	"data of another sha512": {image, withConfig(descriptorOf(empty, "sha512:"+hexes(128), 2, `"data":"e30="`))},
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := manifest.Decode(tt.header, []byte(tt.raw), manifest.SHA256)
			if m != nil || !errors.Is(err, manifest.ErrManifest) {
				t.Errorf("accepted as %.80q, %v; want an error wrapping ErrManifest\n%.600s", fmt.Sprint(m), err, tt.raw)
			}
		})
	}
}

// A client learns which descriptor is wrong, and that the digest is.
func TestDecodeNamesTheField(t *testing.T) {
	t.Parallel()
	bad := descriptorOf(layer, "sha256:x", 1)
	for _, tt := range []struct{ header, raw, field string }{
		{image, withConfig(bad), "config"},
		{image, imageOf(someConfig, `"layers":[`+descriptorOf(layer, digestN(1), 1)+`,`+bad+`]`), "layers[1]"},
		{index, imageOf(`"manifests":[` + bad + `]`), "manifests[0]"},
		{image, imageOf(someConfig, someLayers, `"subject":`+bad), "subject"},
	} {
		_, err := manifest.Decode(tt.header, []byte(tt.raw), manifest.SHA256)
		if !errors.Is(err, manifest.ErrManifest) || !errors.Is(err, manifest.ErrDigest) || !strings.Contains(err.Error(), tt.field) {
			t.Errorf("%v; want an error that wraps ErrManifest and ErrDigest and names %s", err, tt.field)
		}
	}
}

// What Docker wrote from 2014 on, in all the ways that it may arrive.
func TestDecodeRefusesSchema1(t *testing.T) {
	t.Parallel()
	const (
		v1     = "application/vnd.docker.distribution.manifest.v1+json"
		signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	)
	body := func(more ...string) string {
		fields := append([]string{
			`"schemaVersion":1,"name":"library/alpine","tag":"latest","architecture":"amd64"`,
			`"fsLayers":[{"blobSum":"` + digestN(1) + `"}]`, `"history":[{"v1Compatibility":"{\"id\":\"x\"}"}]`,
		}, more...)
		return "{" + strings.Join(fields, ",") + "}"
	}
	signatures := `"signatures":[{"header":{"jwk":{"crv":"P-256","kid":"A","kty":"EC","x":"a","y":"b"},"alg":"ES256"},"signature":"c","protected":"d"}]`
	for name, tt := range map[string]struct{ header, raw string }{
		"plain":                             {v1, body()},
		"signed":                            {signed, body(signatures)},
		"signed, with parameters":           {signed + "; charset=utf-8", body(signatures)},
		"in upper case":                     {strings.ToUpper(signed), body(signatures)},
		"by its type alone":                 {v1, someImage},
		"by its type, without a body":       {signed, ""},
		"as application/json":               {"application/json", body(signatures)},
		"as JSON with parameters":           {"application/json; charset=utf-8", body()},
		"as docker's version 2":             {dockerImage, body()},
		"as an image":                       {image, body(signatures)},
		"as an index":                       {index, body()},
		"without Content-Type":              {"", body()},
		"without Content-Type, with a type": {"", body(`"mediaType":"` + signed + `"`)},
		"as an image, with its own type":    {image, body(`"mediaType":"` + v1 + `"`)},
		"without schemaVersion":             {image, strings.Replace(body(signatures), `"schemaVersion":1,`, "", 1)},
		"hidden in an image":                {image, imageOf(someConfig, someLayers, `"fsLayers":[]`)},
		"hidden in an index":                {index, imageOf(someManifests, `"fsLayers":[]`)},
	} {
		_, err := manifest.Decode(tt.header, []byte(tt.raw), manifest.SHA256)
		if !errors.Is(err, manifest.ErrManifest) || !strings.Contains(strings.ToLower(err.Error()), "schema 1") || !strings.Contains(err.Error(), dockerImage) {
			t.Errorf("%s: %v; want an error that says schema 1 and what to push instead", name, err)
		}
	}
}

func TestDecodeLimitsTheSize(t *testing.T) {
	t.Parallel()
	const specified = 4 << 20 // what the distribution specification asks registries to take
	pad := func(size int) []byte {
		frame := imageOf(someConfig, someLayers, `"annotations":{"a":""}`)
		return []byte(strings.Replace(frame, `{"a":""}`, `{"a":"`+strings.Repeat("x", size-len(frame))+`"}`, 1))
	}
	if m, err := manifest.Decode(image, pad(specified), manifest.SHA256); err != nil || len(m.Raw) != specified {
		t.Errorf("exactly 4 MiB: %v", err)
	}
	if _, err := manifest.Decode(image, pad(specified+1), manifest.SHA256); !errors.Is(err, manifest.ErrManifest) {
		t.Errorf("4 MiB and a byte: %v, want an error wrapping ErrManifest", err)
	}
	if _, err := manifest.Decode(image, []byte(someImage+strings.Repeat(" ", specified)), manifest.SHA256); !errors.Is(err, manifest.ErrManifest) {
		t.Errorf("white space counts too: %v, want an error wrapping ErrManifest", err)
	}
	big := base64.StdEncoding.EncodeToString(make([]byte, 1<<20))
	raw := withConfig(descriptorOf("a/b", string(sha256Of(make([]byte, 1<<20))), 1<<20, `"data":"`+big+`"`))
	if m, err := manifest.Decode(image, []byte(raw), manifest.SHA256); err != nil || len(m.Config.Data) != 1<<20 {
		t.Errorf("1 MiB of data: %v", err)
	}
}

// Where no artifactType is given, tools fall back to that of the configuration
// (manifest.md), and a list of referrers must say so; an index has none (oras#1127).
func TestDecodeArtifactType(t *testing.T) {
	t.Parallel()
	const own, other = "application/vnd.example+type", "application/vnd.example.config.v1+json"
	otherConfig := `"config":` + descriptorOf(other, digestN(1), 1)
	for name, tt := range map[string]struct{ header, raw, want string }{
		"its own":                         {image, imageOf(`"artifactType":"`+own+`"`, otherConfig, someLayers), own},
		"of the configuration":            {image, imageOf(otherConfig, someLayers), other},
		"empty, so of the configuration":  {image, imageOf(`"artifactType":""`, otherConfig, someLayers), other},
		"null, so of the configuration":   {image, imageOf(`"artifactType":null`, otherConfig, someLayers), other},
		"an ordinary image":               {image, someImage, config},
		"docker's image":                  {dockerImage, imageOf(`"config":`+descriptorOf(dockerConfig, digestN(1), 1), someLayers), dockerConfig},
		"an index's own":                  {index, imageOf(`"artifactType":"`+own+`"`, someManifests), own},
		"none of an index":                {index, someIndex, ""},
		"not that of an index's manifest": {index, imageOf(`"manifests":[` + descriptorOf(image, digestN(1), 1, `"artifactType":"`+own+`"`) + `]`), ""},
		"not that of a subject":           {index, imageOf(someManifests, `"subject":`+descriptorOf(image, digestN(1), 1, `"artifactType":"`+own+`"`)), ""},
	} {
		m, err := manifest.Decode(tt.header, []byte(tt.raw), manifest.SHA256)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.ArtifactType != tt.want || m.Descriptor().ArtifactType != tt.want {
			t.Errorf("%s: %q, descriptor %q; want %q", name, m.ArtifactType, m.Descriptor().ArtifactType, tt.want)
		}
	}
}
