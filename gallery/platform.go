package gallery

import "strings"

// platformNames are what ECR Public calls operating systems and architectures in its catalog
// data (User Guide), and other usual names, by what manifests call them.
var platformNames = map[string]string{
	"arm 64": "arm64", "aarch64": "arm64", "arm64/v8": "arm64", "arm 32": "arm", "armhf": "arm", "x86": "386", "i386": "386", "x86-64": "amd64", "x86_64": "amd64", "x64": "amd64",
}

// PlatformName returns the name that manifests have for an operating system or architecture:
// amd64 for x86-64, linux for Linux. Others are returned in lower case.
func PlatformName(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if name, ok := platformNames[s]; ok {
		return name
	}
	return s
}
