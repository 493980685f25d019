# Resident memory of long-lived programs over time, a panel a program, each from 0.
# Data: PANELS XMAX XTICS BARE_XTICS XLABEL NAMES[] NOTES[] YLABELS[] YMAX[]
#       WARM_UP[] (what is before is not judged) BROKEN[] (1: it grew or failed)
#       $series (time, memory) and $trends (the two ends of a line), one index a panel

DATA = ARG1; OUT = ARG2
load DATA
load 'style.gp'

unset key
unset title
set multiplot title TITLE font ',14' textcolor rgb TEXT
top = 1 - 34.0 / HEIGHT
step = (top - 52.0 / HEIGHT) / PANELS
set lmargin at screen 0.085
set rmargin at screen 0.985
set xrange [0:XMAX]
do for [i=1:PANELS] {
    role = BROKEN[i] ? 0 : i
    set tmargin at screen top - (i - 1) * step - 48.0 / HEIGHT
    set bmargin at screen top - i * step + 12.0 / HEIGHT
    set yrange [0:YMAX[i]]
    set ytics autofreq
    set ylabel YLABELS[i]
    eval 'set xtics (' . (i < PANELS ? BARE_XTICS : XTICS) . ')'
    if (i < PANELS) { set format x '' } else { set format x '%g'; set xlabel XLABEL }
    unset label
    set label 1 NAMES[i] at graph 0, 1 offset 0, 1.8 left font ',12' textcolor rgb ink(role)
    set label 2 NOTES[i] at graph 0, 1 offset 0, 0.7 left font ',11' textcolor rgb TEXT
    unset arrow
    set arrow 1 from WARM_UP[i], 0 to WARM_UP[i], graph 1 nohead dt 3 lw 1.4 lc rgb TEXT front
    plot $series index i - 1 using 1:2 with filledcurves y1=0 \
             fc rgb ink(role) fs transparent solid 0.15 noborder, \
         $series index i - 1 using 1:2 with lines lw 1.2 lc rgb ink(role), \
         $trends index i - 1 using 1:2 with lines lw 1.6 dt 2 lc rgb TEXT
}
unset multiplot
unset output
