"""The collector's hot doors by method and path."""

from candor.kernel.http import Doors
from candor.kernel.services import Services
from collector.assembly import Collector
from collector.doors.cloudevents import cloudevents_doors
from collector.doors.native import native_doors
from collector.doors.otlp import otlp_doors
from collector.doors.rum import rum_doors
from collector.doors.segment import segment_doors
from collector.entrance import Entrance


def doors(services: Services, collector: Collector) -> Doors:
    """Return the hot doors of a running collector."""
    entrance = Entrance(services, collector)
    return {
        **native_doors(entrance),
        **segment_doors(entrance),
        **otlp_doors(entrance),
        **rum_doors(entrance),
        **cloudevents_doors(entrance),
    }
