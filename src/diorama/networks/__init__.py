"""Networks: torch modules only. What they mean is in docs/unish_networks.md; who calls them are front ends and methods."""
