"""Rows and effects → pictures, each as <name>.png and <name>.svg, with a caption for the page that shows it.

canvas.py the style, the files, words that fit and do not overlap
lines.py forest (effects with intervals), slope (prefix → mh → mhp), volume (gain by training rows)
tiles.py heatmap (rows × tasks), reliability (accuracy by confidence)
"""
