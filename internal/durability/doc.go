// Package durability tries what the registry promises of the disk: that an answer of 201
// stands for bytes and rows that are on it.
//
// It has nothing but tests, and they run the example servers as their users do: quickstart,
// which is SQLite and a folder, and cluster, which is nodes over PostgreSQL and S3. TestOrder
// reads from quickstart's system calls, recorded by strace, that files, their folders and
// the database's log were synced before the answer left; TestSync has strace fail them, and
// TestFullDisk leaves no room for them.
//
// TestKill ends quickstart at random moments with no chance to clean up, starts it again
// and compares all that it ever acknowledged. TestKillNode does the same to one of three nodes,
// while the others go on. Other tests restart PostgreSQL, have S3 busy or gone, and stop nodes
// for a while. All are repeatable but for the machine's own timing: -seed repeats one run's
// content, operations and moments, and -kills is how often each of the two kills. This is 500
// times:
//
//	go test ./internal/durability -run 'TestKill$|TestKillNode$' -kills 250 -v -timeout 60m
//
// TestCountsSurvive compares what was counted of pulls with what was pulled, TestHerd has thousands
// pull a new image at once, TestSlowClients holds connections that do not get on, and
// TestWebhookOutage has an endpoint that is down while events come. At full size:
//
//	go test ./internal/durability -run TestCountsSurvive -kills 90 -v
//	go test ./internal/durability -run 'TestHerd|TestSlowClients' -herd 5000 -slow 1000 -v
//	go test ./internal/durability -run TestWebhookOutage -events 360000 -v -timeout 20m
package durability
