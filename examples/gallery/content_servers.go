package main

// harbourlight makes what stands at the edge of a network.
func harbourlight() publisher {
	return publisher{account: "310000000001", alias: "harbourlight", name: "Harbourlight", verified: true, repositories: []repository{
		{
			name: "nginx", description: "nginx with HTTP/3 and Brotli, ready for read-only root filesystems and unprivileged users.",
			keywords: "web-server reverse-proxy http3 load-balancer", logo: "arrow #0f766e #ecfdf5", pulls: 7.4, certified: true, signed: true,
			versions: "1.25.4:611 1.25.5:540 1.26.0:471 1.26.1:402 1.26.2:301 1.27.0:260 1.28.0-rc.1:171 1.27.1:150 1.26.3:102 1.27.2:61 1.28.0-rc.2:33 1.27.3:12",
			variants: []string{"alpine"}, channels: []channel{{tags: "edge sha-{sha}", every: 3, count: 5, first: 0.3}},
			image: container{
				platforms: "linux/amd64 linux/arm64 linux/arm/v7 windows/amd64", attested: true, kilobytes: 96, licenses: "BSD-2-Clause",
				steps: []string{
					"RUN set -eux; groupadd --system --gid 101 nginx; useradd --system --gid nginx --uid 101 nginx; install-packages libpcre2-8-0 libbrotli1 zlib1g",
					"COPY /out/nginx /usr/sbin/nginx", "COPY nginx.conf /etc/nginx/nginx.conf", "COPY docker-entrypoint.sh /docker-entrypoint.sh",
				},
				env: []string{"NGINX_VERSION={version}"}, ports: []string{"8080/tcp", "8443/tcp", "8443/udp"}, volumes: []string{"/var/cache/nginx"}, user: "101",
				entrypoint: []string{"/docker-entrypoint.sh"}, cmd: []string{"nginx", "-g", "daemon off;"}, stopSignal: "SIGQUIT",
			},
		},
		{
			name: "edge-proxy", description: "Layer 7 proxy with automatic certificates, retries and a configuration that fits on one screen.",
			keywords: "proxy tls acme load-balancer", logo: "moon #1e3a8a #fde68a", pulls: 6.1, signed: true,
			versions: "2.0.0-beta.1:420 2.0.0-beta.2:391 2.0.0:350 2.0.1:322 2.1.0:240 2.1.1:201 2.2.0:88 2.2.1:20", channels: []channel{{tags: "nightly nightly-{date}", every: 1, count: 9, first: 0.4}},
			image: container{
				platforms: "linux/amd64 linux/arm64 linux/arm/v7", base: "static:2", attested: true, kilobytes: 140, ports: []string{"80/tcp", "443/tcp", "443/udp", "9901/tcp"},
				env: []string{"EDGE_CONFIG=/etc/edge/edge.toml"}, volumes: []string{"/var/lib/edge"}, user: "65532:65532", entrypoint: []string{"/usr/local/bin/edge-proxy"}, cmd: []string{"run"},
			},
		},
		{
			name: "static-site", description: "Serves a folder of files: compression, caching headers and nothing else. 4 MB.", keywords: "web-server files spa",
			pulls: 5.3, versions: "1.0.0:500 1.1.0:320 1.2.0:190 1.2.1:66",
			image: container{
				platforms: "linux/amd64 linux/arm64 linux/arm/v7 linux/riscv64", base: "static:2", kilobytes: 38, licenses: "MIT", ports: []string{"8080/tcp"}, workdir: "/site",
				user: "65532", entrypoint: []string{"/usr/local/bin/static-site"}, cmd: []string{"--root", "/site"},
			},
		},
		{
			name: "certkeeper", description: "Obtains and renews TLS certificates by ACME, and hands them to whoever may have them.", keywords: "acme tls certificates",
			logo: "shield #7c2d12 #fed7aa", pulls: 5.0, versions: "v0.9.0:390 v0.10.0:300 v1.0.0:210 v1.0.1:198 v1.1.0:74 v1.1.1:31",
			image: container{base: "static:2", kilobytes: 60, volumes: []string{"/certs"}, user: "65532", entrypoint: []string{"/usr/local/bin/certkeeper"}, cmd: []string{"watch"}},
		},
		{
			name: "charts/edge-proxy", description: "Installs edge-proxy as an ingress controller.", keywords: "helm ingress kubernetes", pulls: 4.6, exact: true,
			versions: "0.8.0:350 0.9.0:240 1.0.0:88 1.0.1:20", make: chart{
				AppVersion: "2.2.1", KubeVersion: ">=1.29.0-0",
				Dependencies: []dependency{{"common", "2.x.x", "oci://registry.example.com/harbourlight/charts"}},
			}.push,
		},
		{
			name: "filters/geo-header", description: "A proxy filter that adds the visitor's country as a header, as a WebAssembly component.", keywords: "wasm wasi proxy filter geoip",
			logo: "hex #5b21b6 #ede9fe", pulls: 3.6, versions: "0.1.0:160 0.2.0:92 0.3.0:41 0.3.1:18", make: pushWasm,
		},
		{
			name: "httpd-classic", description: "The web server that Harbourlight began with.", deprecated: "No longer maintained since 2025. Use harbourlight/nginx instead.",
			pulls: 4.2, versions: "2.4.54:720 2.4.57:650 2.4.58:610", image: container{kilobytes: 120, platforms: "linux/amd64", ports: []string{"80/tcp"}, cmd: []string{"httpd-foreground"}},
		},
	}}
}

// quillstone makes databases.
func quillstone() publisher {
	return publisher{account: "310000000002", alias: "quillstone", name: "Quillstone Data", verified: true, repositories: []repository{
		{
			name: "postgres", description: "PostgreSQL with point-in-time recovery, pgvector and sensible defaults for containers.",
			keywords: "database sql postgresql relational pgvector", logo: "stack #1d4ed8 #dbeafe", pulls: 7.1, certified: true, signed: true,
			versions: "15.6:640 16.2:630 15.7:560 16.3:559 17.0-rc.1:440 15.8:410 16.4:409 17.0:395 15.9:300 16.5:299 17.1:298 15.10:170 16.6:169 17.2:168 18.0-rc.1:70 15.11:37 16.7:36 17.3:35 18.0:34 18.1:5",
			variants: []string{"alpine"},
			image: container{
				platforms: "linux/amd64 linux/arm64 linux/arm/v7 linux/ppc64le", attested: true, kilobytes: 220, licenses: "PostgreSQL",
				steps: []string{
					"RUN set -eux; groupadd -r postgres --gid=999; useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql --shell=/bin/bash postgres",
					"RUN install-packages locales libicu72 libldap-2.5-0 libxml2 xz-utils zstd && localedef -i en_US -c -f UTF-8 en_US.UTF-8", "COPY /out/postgresql /usr/lib/postgresql",
					"COPY docker-entrypoint.sh docker-ensure-initdb.sh /usr/local/bin/",
				},
				env: []string{"LANG=en_US.utf8", "PG_VERSION={version}", "PGDATA=/var/lib/postgresql/data"}, ports: []string{"5432/tcp"}, volumes: []string{"/var/lib/postgresql/data"},
				entrypoint: []string{"docker-entrypoint.sh"}, cmd: []string{"postgres"}, stopSignal: "SIGINT",
			},
		},
		{
			name: "valkey", description: "In-memory key-value store with snapshots, an append-only log and clustering. Speaks the Redis protocol.",
			keywords: "cache redis key-value in-memory database", logo: "bolt #b91c1c #fee2e2", pulls: 6.8, signed: true,
			versions: "7.2.5:480 8.0.0-rc1:430 8.0.0:390 7.2.7:330 8.0.1:320 8.0.2:230 8.1.0:140 8.1.1:66 9.0.0-rc1:28 8.1.2:7", variants: []string{"alpine"},
			image: container{
				platforms: "linux/amd64 linux/arm64 linux/arm/v7", attested: true, kilobytes: 84, licenses: "BSD-3-Clause", ports: []string{"6379/tcp"}, volumes: []string{"/data"},
				workdir: "/data", user: "999:999", entrypoint: []string{"docker-entrypoint.sh"}, cmd: []string{"valkey-server"},
				steps: []string{"RUN groupadd -r -g 999 valkey && useradd -r -g valkey -u 999 valkey", "COPY /out/valkey /usr/local/bin/", "COPY docker-entrypoint.sh /usr/local/bin/"},
			},
		},
		{
			name: "mariadb", description: "MariaDB Server for development and production, with backups that have been restored in tests.", keywords: "database sql mysql relational",
			logo: "waves #155e75 #cffafe", pulls: 6.0, versions: "10.11.8:520 11.4.2:470 10.11.9:380 11.4.3:360 11.4.4:240 11.8.1:120 11.8.2:44 11.4.5:43",
			image: container{
				attested: true, kilobytes: 240, licenses: "GPL-2.0-only", env: []string{"MARIADB_VERSION={version}", "LANG=C.UTF-8"}, ports: []string{"3306/tcp"},
				volumes: []string{"/var/lib/mysql"}, entrypoint: []string{"docker-entrypoint.sh"}, cmd: []string{"mariadbd"},
				steps: []string{"RUN install-packages libjemalloc2 pwgen tzdata xz-utils", "COPY /out/mariadb /usr/", "COPY docker-entrypoint.sh /usr/local/bin/"},
			},
		},
		{
			name: "pgbouncer", description: "Connection pooler for PostgreSQL. Configured by environment variables alone.", keywords: "postgresql pool database proxy", pulls: 5.9,
			versions: "1.22.1:400 1.23.0:280 1.23.1:240 1.24.0:90 1.24.1:22",
			image: container{
				base: "alpine:3.22", kilobytes: 22, licenses: "ISC", ports: []string{"6432/tcp"}, user: "70", entrypoint: []string{"/entrypoint.sh"}, cmd: []string{"pgbouncer", "/etc/pgbouncer/pgbouncer.ini"},
				steps: []string{"RUN apk add --no-cache c-ares libevent openssl", "COPY /out/pgbouncer /usr/bin/pgbouncer", "COPY entrypoint.sh /entrypoint.sh"},
			},
		},
		{
			name: "pg-backup", description: "Dumps, encrypts and ships PostgreSQL databases to any bucket, and checks that they can be restored.", keywords: "backup postgresql s3 cron", pulls: 4.9,
			versions: "0.6.0:330 0.7.0:260 0.7.1:251 0.8.0:120 0.9.0:50",
			image:    container{base: "alpine:3.22", kilobytes: 48, licenses: "MIT", env: []string{"SCHEDULE=@daily", "KEEP=14d"}, user: "1000", entrypoint: []string{"/usr/local/bin/pg-backup"}},
		},
		{
			name: "document-store", description: "JSON documents with secondary indexes and change streams, in one binary.", keywords: "database nosql json documents", logo: "leaf #166534 #dcfce7",
			pulls: 4.4, versions: "0.4.0:210 0.5.0:150 0.6.0-alpha.1:60 0.6.0-alpha.2:32 0.6.0-beta.1:11", defaultTag: "0.5.0",
			image: container{kilobytes: 130, ports: []string{"27018/tcp"}, volumes: []string{"/data"}, entrypoint: []string{"/usr/local/bin/document-store"}},
		},
		{
			name: "charts/postgres", description: "PostgreSQL with replicas, a connection pool and backups, for Kubernetes.", keywords: "helm postgresql database kubernetes", logo: "stack #1e40af #bfdbfe",
			pulls: 5.5, exact: true, versions: "12.0.0:400 12.1.0:330 13.0.0:298 13.1.0:168 14.0.0:34 14.0.1:5", make: chart{
				AppVersion: "18.1", KubeVersion: ">=1.30.0-0",
				Dependencies: []dependency{
					{"pgbouncer", "3.x.x", "oci://registry.example.com/quillstone/charts"}, {"pg-backup", "0.9.0", "oci://registry.example.com/quillstone/charts"},
					{"common", "2.31.4", "https://charts.example.com/stable"},
				},
			}.push,
		},
	}}
}

// lanternfish makes what watches over other programs.
func lanternfish() publisher {
	return publisher{account: "310000000003", alias: "lanternfish", name: "Lanternfish Observability", verified: true, repositories: []repository{
		{
			name: "collector", description: "Receives traces, metrics and logs by OTLP and a dozen older protocols, and passes them on.", keywords: "opentelemetry otlp tracing metrics logs observability",
			logo: "dots #0c4a6e #7dd3fc", pulls: 6.9, signed: true, defaultTag: "0.112.0",
			versions: "0.98.0:250 0.99.0:236 0.100.0:222 0.101.0:208 0.102.0:194 0.103.0:180 0.104.0:152 0.105.0:138 0.106.0:110 0.107.0:96 0.108.0:82 0.109.0:54 0.110.0:40 0.111.0:26 0.112.0:12",
			channels: []channel{{tags: "nightly", every: 1, count: 6, first: 0.15}},
			image: container{
				platforms: "linux/amd64 linux/arm64 linux/arm/v7 linux/ppc64le linux/s390x windows/amd64", base: "static:2", attested: true, kilobytes: 160, ports: []string{"4317/tcp", "4318/tcp", "8888/tcp"},
				user: "10001", entrypoint: []string{"/collector"}, cmd: []string{"--config", "/etc/collector/config.yaml"},
				steps: []string{"COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt", "COPY /out/collector /collector", "COPY config.yaml /etc/collector/config.yaml"},
			},
		},
		{
			name: "metrics-store", description: "Time series at scale: PromQL, object storage, and a query that does not wake anybody up.", keywords: "prometheus metrics monitoring tsdb promql",
			logo: "bars #9a3412 #ffedd5", pulls: 6.3, versions: "2.51.0:430 2.52.0:370 2.53.0:300 3.0.0-rc.0:200 3.0.0:171 3.0.1:150 3.1.0:60 2.53.1:44 3.1.1:16",
			image: container{attested: true, base: "static:2", kilobytes: 190, ports: []string{"9090/tcp"}, volumes: []string{"/data"}, user: "65534", entrypoint: []string{"/usr/local/bin/metrics-store"}, cmd: []string{"--storage.path=/data"}},
		},
		{
			name: "dashboard", description: "Dashboards and alerts over any number of sources.", keywords: "dashboards charts monitoring alerting visualization", logo: "ring #4c1d95 #ddd6fe", pulls: 6.5,
			versions: "10.4.0:420 11.0.0:290 11.1.0:220 11.2.0:130 11.2.1:101 11.3.0:30", variants: []string{"slim"},
			image: container{attested: true, kilobytes: 320, licenses: "AGPL-3.0-only", env: []string{"DASHBOARD_HOME=/usr/share/dashboard"}, ports: []string{"3000/tcp"}, volumes: []string{"/var/lib/dashboard"}, user: "472", entrypoint: []string{"/run.sh"}},
		},
		{
			name: "node-agent", description: "Reads what a machine is doing and says so: CPU, memory, disks, network, containers.", keywords: "agent metrics monitoring node windows", pulls: 6.2,
			versions: "7.50.0:310 7.51.0:280 7.52.0:220 7.53.0:150 7.54.0:90 7.55.0:25",
			image:    container{platforms: "linux/amd64 linux/arm64 windows/amd64", kilobytes: 110, entrypoint: []string{"/usr/local/bin/node-agent"}, env: []string{"AGENT_INTERVAL=15s"}},
		},
		{
			name: "log-shipper", description: "Tails files and journals and ships them with backpressure.", keywords: "logs syslog journald", pulls: 5.7,
			versions: "3.0.0:360 3.1.0:250 3.1.1:211 3.2.0:77", image: container{base: "alpine:3.22", kilobytes: 44, entrypoint: []string{"/usr/local/bin/log-shipper"}, volumes: []string{"/var/lib/log-shipper"}},
		},
		{
			name: "trace-view", description: "Find the slow span.", pulls: 4.7, versions: "1.58.0:120 1.59.0:80 1.60.0:22",
			image: container{base: "static:2", kilobytes: 70, ports: []string{"16686/tcp"}, entrypoint: []string{"/usr/local/bin/trace-view"}},
		},
	}}
}

// mossgate makes what keeps others out.
func mossgate() publisher {
	return publisher{account: "310000000004", alias: "mossgate", name: "Mossgate Security", verified: true, repositories: []repository{
		{
			name: "identity", description: "OpenID Connect provider with passkeys, groups and a directory, in one container.", keywords: "oidc sso oauth2 passkeys login authentication", logo: "shield #14532d #bbf7d0",
			pulls: 5.8, certified: true, signed: true, versions: "24.0.0:500 24.0.4:430 25.0.0:300 25.0.1:270 26.0.0:140 26.0.5:60 26.1.0:14", channels: []channel{{tags: "nightly", every: 1, count: 3, first: 0.6}},
			image: container{
				base: "jre:21", attested: true, kilobytes: 260, ports: []string{"8080/tcp", "8443/tcp", "9000/tcp"}, user: "1000", workdir: "/opt/identity",
				env: []string{"JAVA_OPTS=-XX:MaxRAMPercentage=70", "ID_HTTP_ENABLED=false"}, entrypoint: []string{"/opt/identity/bin/id.sh"}, cmd: []string{"start", "--optimized"},
				steps: []string{"COPY /build/identity /opt/identity", "RUN /opt/identity/bin/id.sh build --db=postgres --health-enabled=true"},
			},
		},
		{
			name: "scan", description: "Finds known vulnerabilities, secrets and misconfiguration in images, folders and clusters.", keywords: "scanner vulnerabilities cve sbom security", logo: "ring #0f172a #38bdf8",
			pulls: 6.4, signed: true, versions: "0.50.0:280 0.51.0:240 0.52.0:200 0.53.0:160 0.54.0:110 0.55.0:70 0.56.0:33 0.56.1:27 0.57.0:3", channels: []channel{{tags: "canary", every: 0.7, count: 4, first: 0.1}},
			image: container{base: "alpine:3.22", attested: true, kilobytes: 130, entrypoint: []string{"scan"}, workdir: "/src"},
		},
		{
			name: "secrets", description: "Keeps secrets, rotates them, and writes down who read which.", keywords: "vault secrets encryption kms", pulls: 5.2, versions: "1.15.0:420 1.16.0:310 1.17.0:200 1.18.0:90 1.18.1:48",
			image: container{kilobytes: 150, licenses: "MPL-2.0", ports: []string{"8200/tcp"}, volumes: []string{"/secrets/file", "/secrets/logs"}, entrypoint: []string{"docker-entrypoint.sh"}, cmd: []string{"server"}},
		},
		{
			name: "policies/baseline", description: "Rules for admission control that every cluster should begin with, as files.", keywords: "policy admission kubernetes rules", pulls: 3.9,
			versions: "2024.10:400 2025.1:300 2025.4:210 2025.7:130 2025.10:40", make: pushPolicies, signed: true,
		},
		{
			name: "bastion", description: "SSH jump host without shells: short-lived certificates, recorded sessions.", keywords: "ssh bastion jump-host", pulls: 4.3, versions: "0.9.0:260 0.10.0:140 0.11.0:52",
			image: container{base: "alpine:3.22", kilobytes: 18, ports: []string{"2222/tcp"}, user: "2000", entrypoint: []string{"/usr/local/bin/bastion"}},
		},
	}}
}
