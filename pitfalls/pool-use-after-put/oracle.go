// The same two pairs in Go, on one processor and without collections, so that sync.Pool hands out
// next what was put last. go vet says nothing about either bad variant.
//
//	go run oracle.go
package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

const (
	answers = 10000
	alice   = 1
	bob     = 2
)

type request struct {
	user int64
	body [56]byte
}

func newPool() *sync.Pool {
	return &sync.Pool{New: func() any { return new(request) }}
}

//go:noinline
func serveBob(pool *sync.Pool) {
	r := pool.Get().(*request)
	r.user = bob
	pool.Put(r)
}

//go:noinline
func bad(pool *sync.Pool) int64 {
	r := pool.Get().(*request)
	r.user = alice
	pool.Put(r)
	serveBob(pool)
	return r.user
}

//go:noinline
func fixed(pool *sync.Pool) int64 {
	r := pool.Get().(*request)
	r.user = alice
	serveBob(pool)
	user := r.user
	pool.Put(r)
	return user
}

//go:noinline
func serveTwo(pool *sync.Pool) int64 {
	a, b := pool.Get().(*request), pool.Get().(*request)
	a.user = alice
	b.user = bob
	user := a.user
	pool.Put(a)
	if b != a { // or the pool has one more copy of it after each round
		pool.Put(b)
	}
	return user
}

//go:noinline
func badTwice(pool *sync.Pool) int64 {
	r := pool.Get().(*request)
	pool.Put(r)
	pool.Put(r)
	return serveTwo(pool)
}

//go:noinline
func fixedTwice(pool *sync.Pool) int64 {
	r := pool.Get().(*request)
	pool.Put(r)
	return serveTwo(pool)
}

func measure(variant string, serve func(*sync.Pool) int64) {
	pool := newPool()
	hers := 0
	for i := 0; i < answers; i++ {
		if serve(pool) == alice {
			hers++
		}
	}
	outcome := "clean"
	if hers != answers {
		outcome = "manifest"
	}
	fmt.Printf(`{"v":1,"pitfall":"pool-use-after-put","variant":%q,"n":%d,"ops":%d,"work":%d,`+
		`"value":%d,"expected":%d,"outcome":%q}`+"\n",
		variant, answers, answers, answers, hers, answers, outcome)
}

func main() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	measure("bad", bad)
	measure("fixed", fixed)
	measure("bad.twice", badTwice)
	measure("fixed.twice", fixedTwice)
}
