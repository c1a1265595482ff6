"""The factory beside the product: pretraining, surveys, the fault campaign, benchmarks."""
