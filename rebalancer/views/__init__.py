"""The Rebalancer's pages: queue, pending and history are its tabs."""
