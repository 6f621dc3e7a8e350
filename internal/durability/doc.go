// Package durability tries what the registry promises of the disk: that an answer of 201
// stands for bytes and rows that are on it.
//
// It has nothing but tests, and they run the quickstart server as its users do. TestOrder
// reads from the server's system calls, recorded by strace, that files, their folders and
// the database's log were synced before the answer left; TestSync has strace fail them.
// TestKill ends the server at random moments with no chance to clean up, starts it again
// and compares all that it ever acknowledged. It is repeatable but for the machine's own
// timing: -seed repeats one run's content, operations and moments, and -kills makes it
// longer.
package durability
