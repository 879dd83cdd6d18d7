#pragma once

/// The mean of `weights`, each as often as its state was seen, computed on the default device (a GPU, if there is one).
double mean_cut_on_device(const double *weights, const double *frequencies, int n, bool &on_host);
