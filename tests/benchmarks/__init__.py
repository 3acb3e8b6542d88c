"""What `./run bench` measures, and how it is written down."""
