"""The URLs of the simulated DRS; one path is enough, the operation follows from DRS's API model."""

from simulator.drs.responses import DRSResponse

url_bases = [r"https?://drs(-fips)?\.(.+)\.(amazonaws\.com|api\.aws)"]

url_paths = {"{0}/.*$": DRSResponse.dispatch}
