"""Where the application says that it is alive, and the health check reads it: in RAM, so the flash is spared."""

FILE = "/dev/shm/python_app.last_sample"
