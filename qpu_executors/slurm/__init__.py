"""What the engines share about Slurm: what a job asks for, what Slurm says of it, and how it ends with its program.

Parsl and Dask write and submit their jobs themselves. Here is what a site's facts mean for them (`options`), how Slurm
is asked (`client`), what its answers mean (`reasons`), and the list of this program's jobs that `conqure why` reads and
by which they are cancelled when the program dies (`ledger`).
"""
