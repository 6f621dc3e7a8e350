package main

// brambleworks makes what makes other programs.
func brambleworks() publisher {
	return publisher{account: "310000000005", alias: "brambleworks", another: "bramble", name: "Brambleworks", verified: true, repositories: []repository{
		{
			name: "builder", description: "Everything a build needs, rebuilt whenever a package has changed: compilers, linkers, git, and a cache that is warm.", keywords: "ci build toolchain gcc clang cache",
			logo: "hex #713f12 #fef3c7", pulls: 6.6,
			channels: []channel{{tags: "latest sha-{sha} {date}", every: 20, count: 19, first: 20, again: 19}},
			image: container{
				attested: true, kilobytes: 340, workdir: "/workspace", env: []string{"CCACHE_DIR=/cache/ccache", "GOFLAGS=-buildvcs=false"}, volumes: []string{"/cache"}, cmd: []string{"bash"},
				steps: []string{"RUN install-packages build-essential clang lld git curl jq ninja-build pkg-config ccache", "COPY /out/tools /usr/local/bin/"},
			},
		},
		{
			name: "runner", description: "Runs jobs of the forges that you know, one container each.", keywords: "ci runner jobs actions", logo: "arrow #3f6212 #ecfccb", pulls: 6.0,
			versions: "2.315.0:240 2.316.0:210 2.317.0:170 2.318.0:120 2.319.0:80 2.320.0:46 2.321.0:9",
			image:    container{platforms: "linux/amd64 linux/arm64 windows/amd64", attested: true, kilobytes: 280, licenses: "MIT", user: "1001", workdir: "/home/runner", entrypoint: []string{"/home/runner/run.sh"}},
		},
		{
			name: "git", description: "git, git-lfs and an SSH client. For the step before the step.", keywords: "git ci alpine", pulls: 6.2,
			versions: "2.43.0:350 2.44.0:280 2.45.0:200 2.45.2:160 2.46.0:90 2.47.0:30 2.47.1:6",
			image:    container{base: "alpine:3.22", platforms: "linux/amd64 linux/arm64 linux/arm/v7", kilobytes: 30, licenses: "GPL-2.0-only", workdir: "/git", entrypoint: []string{"git"}, cmd: []string{"--help"}},
		},
		{
			name: "node", description: "Node.js with corepack, for building and for running.", keywords: "nodejs javascript npm runtime", logo: "hex #14532d #86efac", pulls: 7.0, certified: true, signed: true,
			versions: "18.20.4:470 20.14.0:410 22.4.0:390 20.16.0:330 22.6.0:300 22.9.0:200 20.18.0:190 18.20.5:130 22.11.0:120 23.1.0:100 23.3.0:40 22.12.0:21 23.4.0:8",
			variants: []string{"slim", "alpine"},
			image: container{
				attested: true, kilobytes: 210, licenses: "MIT", env: []string{"NODE_VERSION={version}", "YARN_VERSION=1.22.22"}, entrypoint: []string{"docker-entrypoint.sh"}, cmd: []string{"node"},
				steps: []string{"RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node", "COPY /out/node /usr/local/", "COPY docker-entrypoint.sh /usr/local/bin/"},
			},
		},
		{
			name: "cache-server", description: "Shares build caches between machines: sccache, Bazel, Gradle and BuildKit.", pulls: 4.5, versions: "0.3.0:150 0.4.0:90 0.4.1:60",
			image: container{base: "static:2", kilobytes: 52, ports: []string{"8980/tcp", "9092/tcp"}, volumes: []string{"/data"}, entrypoint: []string{"/usr/local/bin/cache-server"}},
		},
	}}
}

// oakiron makes images for others to build on.
func oakiron() publisher {
	return publisher{account: "310000000006", alias: "oakiron", name: "Oak & Iron", verified: true, repositories: []repository{
		{
			name: "base", description: "A small Debian to build on, made anew every week and signed. No surprises.", keywords: "debian base-image glibc minimal", logo: "peaks #292524 #e7e5e4", pulls: 7.6, certified: true, signed: true,
			versions: "11.10:520 12.6:500 12.7:380 12.8:260 12.9:170 12.10:80 13.0:50 12.11:15 13.1:14",
			channels: []channel{{tags: "weekly weekly-{date}", every: 7, count: 8, first: 1.4}},
			image:    container{platforms: "linux/amd64 linux/arm64 linux/arm/v7 linux/riscv64 linux/s390x", attested: true, kilobytes: 12, steps: []string{"COPY apt.conf /etc/apt/apt.conf.d/99oak"}, cmd: []string{"bash"}},
		},
		{
			name: "static", description: "Certificates, time zones, a user and nothing else. For programs that bring everything with them.", keywords: "distroless scratch base-image minimal", logo: "ring #44403c #fafaf9",
			pulls: 7.2, certified: true, signed: true, versions: "2.0:400 2.1:250 2.2:130 2.3:40", variants: []string{"debug", "nonroot"},
			image: container{base: "static:2", platforms: "linux/amd64 linux/arm64 linux/arm/v7 linux/riscv64", attested: true, kilobytes: 4, steps: []string{"COPY ca-certificates.crt /etc/ssl/certs/"}, user: "65532"},
		},
		{
			name: "jre", description: "OpenJDK runtime, with class data sharing for a quick start.", keywords: "java jvm openjdk base-image runtime", logo: "waves #7f1d1d #fecaca", pulls: 6.4, signed: true,
			versions: "17.0.11:420 21.0.3:410 17.0.12:320 21.0.4:310 17.0.13:190 21.0.5:180 23.0.1:170 25.0.0:60 21.0.6:22 25.0.1:20", variants: []string{"alpine"},
			image: container{attested: true, kilobytes: 380, licenses: "GPL-2.0-only WITH Classpath-exception-2.0", env: []string{"JAVA_HOME=/opt/java", "LANG=C.UTF-8"}, cmd: []string{"jshell"}, steps: []string{"RUN install-packages fontconfig tzdata", "COPY /out/jre /opt/java"}},
		},
		{
			name: "python", description: "Python, built with optimizations that distributions leave out.", keywords: "python pip base-image runtime", logo: "bolt #1e3a8a #fde047", pulls: 7.0, signed: true,
			versions: "3.11.9:430 3.12.4:420 3.12.5:360 3.13.0-rc.1:330 3.12.6:310 3.13.0-rc.2:300 3.13.0:260 3.12.7:259 3.13.1:160 3.12.8:159 3.14.0-rc.1:100 3.13.2:60 3.14.0:44 3.14.1:10",
			variants: []string{"slim", "alpine"},
			image:    container{attested: true, kilobytes: 190, licenses: "PSF-2.0", env: []string{"PYTHON_VERSION={version}", "PIP_NO_CACHE_DIR=1"}, cmd: []string{"python3"}, steps: []string{"RUN install-packages libssl3 libffi8 libsqlite3-0 tzdata", "COPY /out/python /usr/local/"}},
		},
		{
			name: "windows", description: "A server core to build on, with the runtime libraries that everything asks for.", keywords: "windows base-image servercore", pulls: 4.8, versions: "2022.9:300 2022.12:200 2025.3:110 2025.9:24",
			image: container{platforms: "windows/amd64", attested: true, base: "windows:ltsc2025", kilobytes: 90, cmd: []string{`c:\windows\system32\cmd.exe`}, user: "ContainerUser", licenses: "LicenseRef-Windows"},
		},
	}}
}

// fernhollow makes what learns.
func fernhollow() publisher {
	return publisher{account: "310000000007", alias: "fernhollow", name: "Fernhollow Labs", repositories: []repository{
		{
			name: "notebook", description: "JupyterLab with the usual packages for data work, and kernels for Python, R and Julia.", keywords: "jupyter python r julia data-science notebook", logo: "leaf #065f46 #a7f3d0",
			pulls: 6.85, versions: "4.1.0:300 4.1.5:240 4.2.0:170 4.2.3:110 4.3.0:45 4.3.1:19", variants: []string{"gpu"},
			image: container{base: "python:3.13", kilobytes: 420, licenses: "BSD-3-Clause", ports: []string{"8888/tcp"}, user: "1000", workdir: "/home/jovyan", entrypoint: []string{"tini", "-g", "--"}, cmd: []string{"start-notebook.py"}},
		},
		{
			name: "models/wren-1b-instruct", description: "A small language model that follows instructions, quantized to four bits.", keywords: "llm model gguf language-model", logo: "moon #134e4a #5eead4",
			pulls: 4.9, versions: "0.9.0:110 1.0.0:60 1.1.0:17", make: pushModel, signed: true,
		},
		{
			name: "vector-store", description: "Nearest neighbours in a billion vectors.", keywords: "embeddings vector database similarity rag", pulls: 5.1, versions: "0.12.0:210 0.13.0:150 0.14.0:80 0.15.0:23",
			image: container{kilobytes: 90, ports: []string{"6333/tcp", "6334/tcp"}, volumes: []string{"/storage"}, entrypoint: []string{"/usr/local/bin/vector-store"}},
		},
		{name: "inference", description: "Serves models over an API that your client speaks already.", keywords: "llm inference gpu server", pulls: 7.05, versions: "0.4.0:120 0.5.0:80 0.5.1:70 0.6.0:21",
			channels: []channel{{tags: "nightly", every: 1, count: 3, first: 0.5}}, image: container{base: "python:3.13", platforms: "linux/amd64", kilobytes: 480, ports: []string{"8000/tcp"}, entrypoint: []string{"python3", "-m", "inference"}}},
	}}
}

// pebblecast makes what people run at home for fun.
func pebblecast() publisher {
	return publisher{account: "310000000008", alias: "pebblecast", name: "Pebblecast", repositories: []repository{
		{
			name: "mqtt", description: "MQTT broker for things: persistent sessions, bridges, access lists.", keywords: "mqtt broker iot messaging", logo: "dots #831843 #fbcfe8", pulls: 7.3,
			versions: "2.0.18:400 2.0.19:290 2.0.20:180 2.0.21:60", variants: []string{"openssl"},
			image: container{base: "alpine:3.22", platforms: "linux/amd64 linux/arm64 linux/arm/v7 linux/arm/v6 linux/386", kilobytes: 20, licenses: "EPL-2.0", ports: []string{"1883/tcp", "8883/tcp"}, volumes: []string{"/mqtt/data", "/mqtt/log"}, user: "1883", entrypoint: []string{"/docker-entrypoint.sh"}, cmd: []string{"/usr/sbin/mqttd"}},
		},
		{
			name: "photo-shelf", description: "Your photos, on your own machine: albums, faces, maps, sharing.", keywords: "photos gallery self-hosted backup", logo: "peaks #0e7490 #fef9c3", pulls: 6.7,
			versions: "v1.106.0:140 v1.107.0:110 v1.108.0:80 v1.109.0:52 v1.110.0:31 v1.111.0:8", image: container{kilobytes: 300, licenses: "AGPL-3.0-only", ports: []string{"2283/tcp"}, volumes: []string{"/photos"}},
		},
		{
			name: "voxel-server", description: "A server for block-building games. Java inside, patience outside.", keywords: "game server voxel java", pulls: 4.6, versions: "1.20.4:310 1.20.6:220 1.21.0:140 1.21.3:50",
			image: container{base: "jre:21", kilobytes: 160, ports: []string{"25565/tcp"}, volumes: []string{"/world"}, env: []string{"EULA=false", "MEMORY=2G"}},
		},
		{name: "transcoder", description: "Watches a folder and makes every video smaller.", keywords: "video ffmpeg av1 transcode", pulls: 4.1, versions: "0.8:200 0.9:100 1.0:37", image: container{kilobytes: 350, platforms: "linux/amd64 linux/arm64"}},
	}}
}

// zaytoon writes from right to left.
func zaytoon() publisher {
	return publisher{account: "310000000009", alias: "zaytoon", name: "زيتون Zaytoon", repositories: []repository{
		{
			name: "tashkeel", description: "خدمة لتشكيل النصوص العربية آليًا عبر واجهة HTTP بسيطة، تعمل دون اتصال بالإنترنت.", keywords: "arabic nlp diacritics تشكيل", logo: "leaf #3f6212 #fefce8", pulls: 3.8,
			versions: "0.1.0:220 0.2.0:140 0.2.1:90 0.3.0:27", image: container{base: "python:3.13", kilobytes: 140, licenses: "MIT", ports: []string{"8000/tcp"}},
		},
		{name: "ocr", description: "Reads printed Arabic and Persian from scans, right to left and in columns.", keywords: "ocr arabic persian scans", pulls: 3.2, versions: "1.0.0:100 1.0.1:64", image: container{base: "python:3.13", kilobytes: 180, platforms: "linux/amd64"}},
	}}
}

// mika is one person with a shelf of small computers.
func mika() publisher {
	return publisher{account: "310000000010", alias: "mika-attic", name: "Mika’s attic", repositories: []repository{
		{name: "feed-reader", description: "Reads feeds so that I don't have to open nine tabs.", keywords: "rss atom feeds self-hosted", pulls: 2.9, versions: "0.1:300 0.2:180 0.3:33", image: container{base: "static:2", platforms: "linux/amd64 linux/arm64", kilobytes: 16, licenses: "0BSD", ports: []string{"8080/tcp"}}},
		{
			name:        "k3s/clusters/attic/apps/monitoring/exporters/solar-inverter-modbus-tcp-exporter-with-battery-extension",
			description: "Metrics of my solar inverter.", pulls: 1.9, channels: []channel{{tags: "latest main {sha}", every: 30, count: 6, first: 11}}, image: container{base: "static:2", platforms: "linux/arm64", kilobytes: 9},
		},
		{name: "weather-station", description: longDescription, keywords: "weather iot mqtt raspberry", pulls: 2.3, versions: "1.0:150 1.1:70 2.0-rc1:20", image: container{base: "alpine:3.22", platforms: "linux/arm/v7 linux/arm64", kilobytes: 14}},
		{name: "notes", description: "Will be something one day."},
		{name: "doorbell", pulls: 1.1, channels: []channel{{tags: "latest", every: 60, count: 3, first: 70}}, image: container{base: "alpine:3.22", platforms: "linux/arm/v7", kilobytes: 8}},
	}}
}

// longDescription is as long as a description may be.
const longDescription = "Reads the weather station on the roof by radio at 868 MHz, checks what it says for plausibility, and publishes temperature, humidity, " +
	"pressure, wind, gusts, rain and light by MQTT, as metrics and as a page for the kitchen wall. It knows about the station's habits: the rain gauge that " +
	"counts twice in a storm, the wind vane that sticks when it freezes, the thermometer that lies between ten and eleven when the sun reaches the chimney, " +
	"and the clock that runs four minutes fast a month. Values that cannot be are dropped and counted, values that are merely odd are kept and marked. " +
	"Everything can be set by environment variables, and nothing must be. If your station is another one, there is a good chance that it works as well, " +
	"because they all come from the same factory: try it, and tell me what you see. It runs on the smallest of boards, needs a cheap receiver, and " +
	"writes so little that the card will outlive the house. Rain is in millimetres, wind in metres per second; for anything else there is the variable UNITS."
