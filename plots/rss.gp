# Resident memory over time, a panel a variant.
# Data: PANELS YMAX YLABEL KEY BAD_PEAK NAMES[] PEAKS[] COUNTS[] ROLES[] TIME_UNITS[] XMAX[]
#       BEGINS[] (start of the timed region, or -1)
#       XTICS1.. a list of tics for each panel
#       $runs (time, memory) and $marks (time of a collection), one index a panel

DATA = ARG1; OUT = ARG2
load DATA
load 'style.gp'

unset key
unset title
set yrange [0:YMAX]
set multiplot title TITLE font ',14' textcolor rgb TEXT
left = 0.085
step = (0.985 - left) / PANELS
do for [i=1:PANELS] {
    set lmargin at screen left + (i - 1) * step + 0.006
    set rmargin at screen left + i * step - 0.012
    set tmargin at screen 1 - 104.0 / HEIGHT
    set bmargin at screen 88.0 / HEIGHT
    set xlabel 'time (' . TIME_UNITS[i] . ')'
    if (i == 1) { set ylabel YLABEL } else { unset ylabel; set format y '' }
    set xrange [0:XMAX[i]]
    eval 'set xtics (' . value(sprintf('XTICS%d', i)) . ')'
    unset label
    set label 1 NAMES[i] at graph 0, 1 offset 0, 2.9 left font ',12' textcolor rgb ink(ROLES[i])
    set label 2 PEAKS[i] at graph 0, 1 offset 0, 1.75 left font ',11' textcolor rgb TEXT
    set label 3 COUNTS[i] at graph 0, 1 offset 0, 0.65 left font ',11' textcolor rgb FAINT
    if (i == 1) { set label 4 KEY at screen 0.5, 13.0 / HEIGHT center font ',10' textcolor rgb TEXT }
    unset arrow
    if (BEGINS[i] >= 0) {
        set arrow 1 from BEGINS[i], 0 to BEGINS[i], graph 1 nohead dt 3 lw 1.4 lc rgb TEXT front
    }
    plot BAD_PEAK > 0 ? BAD_PEAK : NaN with lines lw 1 dt 2 lc rgb FAINT, \
         $runs index i - 1 using 1:2 with filledcurves y1=0 \
             fc rgb ink(ROLES[i]) fs transparent solid 0.18 noborder, \
         $runs index i - 1 using 1:2 with lines lw 2 lc rgb ink(ROLES[i]), \
         $marks index i - 1 using 1:(YMAX * 0.0):(0):(YMAX * 0.04) \
             with vectors nohead lw 0.9 lc rgb TEXT
}
unset multiplot
unset output
