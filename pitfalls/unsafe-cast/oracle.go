// The same two pairs in Go, with package unsafe. go vet and the race detector's checkptr say
// nothing about either bad variant.
//
//	go run oracle.go
package main

import (
	"fmt"
	"unsafe"
)

type message struct {
	kind   int8
	length int64
}

//go:noinline
func guessed(m *message) int64 {
	return *(*int64)(unsafe.Add(unsafe.Pointer(m), unsafe.Offsetof(m.kind)+1))
}

//go:noinline
func asked(m *message) int64 {
	return *(*int64)(unsafe.Add(unsafe.Pointer(m), unsafe.Offsetof(m.length)))
}

// The neighbours of the number are known here, so that the wrong value is the same in every run.
//
//go:noinline
func punned(reading *[2]int32) float64 {
	return *(*float64)(unsafe.Pointer(&reading[0]))
}

//go:noinline
func converted(reading *[2]int32) float64 {
	return float64(reading[0])
}

func report(variant string, value, expected float64) {
	outcome := "clean"
	if value != expected {
		outcome = "manifest"
	}
	fmt.Printf(`{"v":1,"pitfall":"unsafe-cast","variant":%q,"n":1,"ops":1,"work":1,`+
		`"value":%g,"expected":%g,"outcome":%q}`+"\n", variant, value, expected, outcome)
}

func main() {
	m := message{kind: 1, length: 137}
	report("bad", float64(guessed(&m)), 137)
	report("fixed", float64(asked(&m)), 137)
	reading := [2]int32{42, 7}
	report("bad.pun", punned(&reading), 42)
	report("fixed.pun", converted(&reading), 42)
}
