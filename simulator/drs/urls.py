"""The URLs of the simulated DRS. One path is enough: moto finds the operation through DRS's API model."""

from simulator.drs.responses import DRSResponse

url_bases = [r"https?://drs(-fips)?\.(.+)\.(amazonaws\.com|api\.aws)"]

url_paths = {"{0}/.*$": DRSResponse.dispatch}
