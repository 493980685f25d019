# The compile-flag table as a heat map with the numbers printed.
# Data: ROWS COLUMNS REACH XTICS YTICS CBTICS
#       $boxes (column, row, log2 of the cost ratio)   $values $notes (column, row, text)

DATA = ARG1; OUT = ARG2
load DATA
load 'style.gp'

unset key
unset grid
unset border
set xrange [-0.5:COLUMNS - 0.5]
set yrange [ROWS - 0.5:-0.5]
eval 'set x2tics (' . XTICS . ') scale 0 font ",13"'
unset xtics
set x2range [-0.5:COLUMNS - 0.5]
eval 'set ytics (' . YTICS . ') scale 0 font ",13"'
set tmargin at screen 1 - 78.0 / HEIGHT
set bmargin at screen 26.0 / HEIGHT
set lmargin at screen 0.12
set rmargin at screen 0.83
# Blue (better) to white (the same) to orange (worse): told apart by every kind of colour vision.
set palette defined (-1 '#5aa3d0', 0 '#ffffff', 1 '#e8924a')
eval 'set cbtics (' . CBTICS . ') scale 0.5'
set cblabel 'cost, ratio to the reference' offset 1.2, 0
set label 1 'worse' at screen 0.83, 1 - 60.0 / HEIGHT left offset 2.5, 0 textcolor rgb TEXT
set label 2 'better' at screen 0.83, 12.0 / HEIGHT left offset 2.5, 0 textcolor rgb TEXT
set cbrange [-REACH:REACH]
plot $boxes using 1:2:(0.485):(0.47):3 with boxxyerror \
         fs solid 1 border lc rgb '#cccccc' fc palette, \
     $values using 1:2:3 with labels offset 0, 0.45 font ',13' textcolor rgb '#111111', \
     $notes using 1:2:3 with labels offset 0, -0.65 font ',10' textcolor rgb '#333333'
unset output
