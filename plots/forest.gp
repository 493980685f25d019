# Forest plot of ratios: a row a cell (or a subject), the dashed line is "no difference".
# Data: XMIN XMAX YMIN XTICS XLABEL, and LEFT if the labels are wide (a share of the picture)
#       $rows (ratio, y, low, high, point: 0 circle, 1 triangle, 2 triangle on its head)
#       $heads $labels $numbers (y, text)

DATA = ARG1; OUT = ARG2
load DATA
load 'style.gp'

unset key
unset grid
set grid xtics linetype 1 linewidth 0.7 linecolor rgb GRID
set border 1
if (!exists('LEFT')) LEFT = 0.13
set lmargin at screen LEFT
set rmargin at screen 0.76
set bmargin at screen 66.0 / HEIGHT
set tmargin at screen 1 - 46.0 / HEIGHT
set logscale x
set xrange [XMIN:XMAX]
set yrange [YMIN:0.4]
unset ytics
set xlabel XLABEL
set errorbars 0
set style textbox opaque noborder fillcolor rgb '#ffffff' margins 0.4, 0.1
eval 'set xtics (' . XTICS . ')'
set arrow 1 from 1, YMIN to 1, 0.4 nohead dt 2 lw 1.4 lc rgb TEXT back
plot $rows using ($5 == 0 ? $1 : NaN):2:3:4 with xerrorbars pt 7 ps 0.55 lw 1.5 lc rgb '#0072B2', \
     $rows using ($5 == 1 ? $1 : NaN):2:3:4 with xerrorbars pt 9 ps 0.65 lw 1.5 lc rgb '#D55E00', \
     $rows using ($5 == 2 ? $1 : NaN):2:3:4 with xerrorbars pt 11 ps 0.65 lw 1.5 lc rgb '#009E73', \
     $heads using (XMIN):1:2 with labels left offset -88.5 * LEFT, 0.1 boxed \
         font ',12' textcolor rgb TEXT, \
     $labels using (XMIN):1:2 with labels right offset -1, 0 font ',11' textcolor rgb TEXT, \
     $numbers using (XMAX):1:2 with labels left offset 1.5, 0 font ',11' textcolor rgb TEXT
unset output
