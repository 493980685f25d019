# Sweeps, log against log, a panel a metric.
# Data: PANELS VARIANTS XMIN XMAX XTICS XLABEL KEY PANEL_TITLES[] YTICS1.. YLOW[] YHIGH[] NAMES[]
#       $lines (x, y), index = panel * VARIANTS + variant   $guides (x, y), index = panel

DATA = ARG1; OUT = ARG2
load DATA
load 'style.gp'

unset title
set logscale xy
set xrange [XMIN:XMAX]
set xlabel XLABEL
eval 'set xtics (' . XTICS . ')'
set multiplot title TITLE font ',14' textcolor rgb TEXT
unset key
top = 1 - 72.0 / HEIGHT
bottom = (98.0 + 19 * VARIANTS) / HEIGHT
# Where curves coincide, the earlier one is seen on both sides of the later one.
under(v) = 1.6 + 1.4 * (VARIANTS - 1 - v)
# The legend, a line a variant and one for the rest, under all panels; drawn with the first of them.
do for [v=0:VARIANTS-1] {
    set label 10 + v NAMES[v + 1] \
        at screen 96.0 / WIDTH, (32.0 + 19 * (VARIANTS - 1 - v)) / HEIGHT \
        left offset 1, 0 font ',11' textcolor rgb TEXT point pt shape(v) ps 0.9 lc rgb ink(v)
}
do for [p=1:PANELS] {
    if (p == 1) { set label 2 KEY at screen 92.0 / WIDTH, 13.0 / HEIGHT left font ',10' textcolor rgb TEXT }
    if (p == 2) { unset label 2; do for [v=0:VARIANTS-1] { unset label 10 + v } }
    set lmargin at screen (p - 1.0) / PANELS + 82.0 / WIDTH
    set rmargin at screen (p - 0.0) / PANELS - 34.0 / WIDTH
    set tmargin at screen top
    set bmargin at screen bottom
    set yrange [YLOW[p]:YHIGH[p]]
    eval 'set ytics (' . value(sprintf('YTICS%d', p)) . ')'
    set label 1 PANEL_TITLES[p] at graph 0, 1.06 left font ',12' textcolor rgb TEXT
    plot $guides index p - 1 using 1:2 with lines lw 1.2 dt 3 lc rgb FAINT, \
         for [v=0:VARIANTS-1] $lines index (p - 1) * VARIANTS + v using 1:2 \
             with linespoints lw under(v) ps 0.6 * sqrt(under(v)) pt shape(v) lc rgb ink(v)
}
unset multiplot
unset output
