"""Large jobs: many photos and videos to partitioned Parquet, on one machine or a cluster.

A job is a folder. Its plan (which inputs stand in which partition) is written first and never
changes; a partition is done when its file of faces has its name. Whoever dies, and however
often, what is missing is done again and nothing twice. Needs the extra ``batch``.
"""
