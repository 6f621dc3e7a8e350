package memindex

import "strings"

// groups are words that people use for each other, or for one concept.
const groups = `
k8s kubernetes kube
pg postgres postgresql
db database
mq queue broker messaging
js javascript
node nodejs
ts typescript
py python
golang go
rb ruby
rs rust
mongo mongodb
es elasticsearch
elk elasticsearch logstash kibana
otel opentelemetry
tf terraform
gh github
gl gitlab
ml machinelearning
ai llm
lb loadbalancer balancer proxy
cicd ci pipeline
auth authentication identity sso login
oidc openid
obs observability monitoring
metrics monitoring
logs logging
tracing traces
cache caching
kv keyvalue
s3 objectstorage storage
web http
webserver httpd
os linux
jdk java jre openjdk
dotnet aspnet
cpp gcc
csharp dotnet
vm virtualmachine
cron scheduler
dns nameserver resolver
vpn wireguard
mail smtp email
cms wordpress
wiki documentation
chat messaging
tls ssl certificate
acme letsencrypt certificate
secret secrets vault
registry distribution
git vcs
search fulltext
graph graphdatabase
ts timeseries
olap analytics
etl pipeline
gpu cuda
img image
sec security
scan scanner vulnerability
serverless lambda faas
mesh istio servicemesh
ingress gateway
api rest
stream streaming kafka
`

// aliases maps each word to those that may stand for it.
var aliases = func() map[string][]string {
	m := map[string][]string{}
	for line := range strings.Lines(groups) {
		words := strings.Fields(line)
		for i, w := range words {
			for j, other := range words {
				if i != j {
					m[w] = append(m[w], other)
				}
			}
		}
	}
	return m
}()
