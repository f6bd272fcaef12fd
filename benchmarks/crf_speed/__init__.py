"""What `bench_crf.py` is made of: problems, contenders, the proof that they agree, timing, tables, chart."""
