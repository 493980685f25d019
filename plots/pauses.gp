# Pause times: every pause a point over its box, a group a cell, log scale.
# Data: CELLS VARIANTS BOX YMIN YMAX XTICS YTICS NAMES[]
#       $boxes (x, quarter, median, three quarters, 99 %, role)
#       $points (x, pause, role)   $counts (x, text)

DATA = ARG1; OUT = ARG2
load DATA
load 'style.gp'

set key outside bottom center horizontal Left reverse samplen 1.5
set ylabel 'pause (log scale)'
set logscale y
set xrange [-0.55:CELLS - 0.45]
set yrange [YMIN:YMAX]
set title offset 0, 0.9
set tmargin at screen 1 - 62.0 / HEIGHT
eval 'set xtics (' . XTICS . ') scale 0'
eval 'set ytics (' . YTICS . ')'
set label 1 'n =' at graph 0, 1 right offset -0.6, 0.7 font ',10' textcolor rgb FAINT
plot $points using 1:2:(rgb($3)) with points pt 7 ps 0.25 lc rgb variable notitle, \
     for [i=0:VARIANTS-1] $boxes \
         using ($6 == i ? $1 : NaN):3:($1 - BOX / 2):($1 + BOX / 2):2:4 with boxxyerror \
         fs transparent solid 0.25 border rgb ink(i) lw 1.4 fc rgb ink(i) title NAMES[i + 1], \
     $boxes using ($1 - BOX / 2):3:(BOX):(0) with vectors nohead lw 2.6 lc rgb TEXT notitle, \
     $boxes using 1:5 with points pt 12 ps 0.9 lw 1.6 lc rgb TEXT notitle, \
     $counts using 1:(YMAX):2 with labels offset 0, 0.7 font ',10' textcolor rgb FAINT notitle
unset output
