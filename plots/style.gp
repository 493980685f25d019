# One look for every chart: terminal, colours, lines. Loaded by each template after its data.
#
# A template is run in this folder as   gnuplot -c TEMPLATE.gp DATA-FILE OUT.svg   (or OUT.png).
# The data file sets TITLE, WIDTH, HEIGHT and what else the template's head lists.
# Names that come from data are printed as they are: no terminal here interprets markup.

set encoding utf8
set colorsequence podo          # made to be told apart by colour-blind readers

is_svg = strlen(OUT) > 4 && OUT[strlen(OUT)-3:strlen(OUT)] eq '.svg'
if (is_svg) {
    set terminal svg noenhanced size WIDTH,HEIGHT fixed font 'DejaVu Sans,Verdana,sans-serif,12' \
        background '#ffffff'
} else {
    set terminal pngcairo noenhanced size 2*WIDTH,2*HEIGHT font 'DejaVu Sans,12' \
        fontscale 2 linewidth 2 pointscale 2 background '#ffffff'
}
set output OUT

# Roles, not series: the bad variant is vermillion in every chart, its fixes follow in this order.
# Role i also has its own point shape, so that colour never speaks alone.
array INK[7]   = ['#D55E00', '#0072B2', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#555555']
array SHAPE[7] = [7, 5, 9, 13, 11, 15, 3]
ink(role)   = INK[1 + int(role) % 7]
shape(role) = SHAPE[1 + int(role) % 7]
rgb(role)   = int('0x' . substr(ink(role), 2, 7))

TEXT = '#222222'
FAINT = '#767676'
GRID = '#dddddd'

set border 3 linecolor rgb '#888888' linewidth 1
set tics nomirror out scale 0.6 textcolor rgb TEXT
set grid ytics linetype 1 linewidth 0.7 linecolor rgb GRID
set title TITLE font ',14' textcolor rgb TEXT
set xlabel textcolor rgb TEXT
set ylabel textcolor rgb TEXT
set key textcolor rgb TEXT
