module pitmark/bench

go 1.19
