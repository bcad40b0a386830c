"""What runs beside an instance, standard library only; so far Docker's API over its socket, which removal uses as well."""
