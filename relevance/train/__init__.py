"""One cell: fitted, resumed, evaluated, probed; its ranks, where it has several."""
