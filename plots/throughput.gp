# Throughput with intervals: bars from 0, a group a cell.
# Data: CELLS ROLES (those that have bars) BAR YMAX YLABEL XTICS NAMES[] NOTES (how many)
#       $bars (x, value, low, high, role)   $notes (x, y, text)
# A series without a single point would make gnuplot 5.4 crash.

DATA = ARG1; OUT = ARG2
load DATA
load 'style.gp'

set key outside bottom center horizontal Left reverse samplen 1.5
set ylabel YLABEL
set xrange [-0.55:CELLS - 0.45]
set yrange [0:YMAX]
set style fill solid 0.85 noborder
eval 'set xtics (' . XTICS . ') scale 0'
plot for [i in ROLES] $bars using ($5 == int(i) ? $1 : NaN):2:(BAR) with boxes \
         lc rgb ink(int(i)) title NAMES[int(i) + 1], \
     $bars using 1:3:(0):($4 - $3) with vectors heads size 0.035, 90 lw 1.3 lc rgb TEXT notitle, \
     for [k=1:(NOTES > 0 ? 1 : 0)] $notes using 1:2:3 with labels offset 0, 0.7 font ',10' textcolor rgb TEXT notitle
unset output
