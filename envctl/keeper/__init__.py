"""What runs beside an instance, standard library only: the keeper, its supervisor of local processes, Docker's API over its socket."""
