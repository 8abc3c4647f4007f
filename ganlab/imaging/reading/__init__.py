"""Files of volumes and pictures in every usual format, read within limits."""
