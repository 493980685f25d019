// The first pair in Go: the address of an element, taken before the appends or after each. (The
// second needs memory that is freed.) go vet says nothing about the bad variant.
//
//	go run oracle.go
package main

import "fmt"

const (
	lists    = 1000
	room     = 4
	deposits = 7
)

//go:noinline
func bad() int64 {
	accounts := make([]int64, 1, room)
	first := &accounts[0]
	for paid := int64(1); paid <= deposits; paid++ {
		accounts = append(accounts, 0)
		*first = paid
	}
	return accounts[0]
}

//go:noinline
func fixed() int64 {
	accounts := make([]int64, 1, room)
	for paid := int64(1); paid <= deposits; paid++ {
		accounts = append(accounts, 0)
		first := &accounts[0]
		*first = paid
	}
	return accounts[0]
}

func measure(variant string, deposit func() int64) {
	var value, expected int64
	for i := 0; i < lists; i++ {
		value += deposit()
		expected += deposits
	}
	outcome := "clean"
	if value != expected {
		outcome = "manifest"
	}
	fmt.Printf(`{"v":1,"pitfall":"append-stale","variant":%q,"n":%d,"ops":%d,"work":%d,`+
		`"value":%d,"expected":%d,"outcome":%q}`+"\n",
		variant, lists, lists, expected, value, expected, outcome)
}

func main() {
	measure("bad", bad)
	measure("fixed", fixed)
}
