"""What a run leaves behind: report.json, and report.html, a page made of nothing but that JSON.

machine     what it ran on, and which versions           processes   CPU and memory of processes, from /proc
scrape      what a server says at /metrics               server      both while a run lasts: a source of the timeline
reporter    one run's report, from its begin to its end  document    the two files
page        the HTML, and plots: its charts as SVG
"""
