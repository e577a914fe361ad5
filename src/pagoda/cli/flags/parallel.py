"""Flags about several devices and machines."""

from __future__ import annotations

from pagoda.cli.flags.flag import Effect, Flag, Group, Kind

PARALLEL = Group(
    "Parallel",
    "several devices and machines: here one machine's cores do it together",
    also=("parallelconfig",),
    flags=(
        Flag(
            name="tensor-parallel-size",
            kind=Kind.INTEGER,
            short=("-tp",),
            least=1,
            effect=Effect.NONE,
            silent=(1,),
            help="all cores of this machine share every product (--threads N uses fewer)",
        ),
        Flag(
            name="pipeline-parallel-size",
            kind=Kind.INTEGER,
            short=("-pp",),
            least=1,
            effect=Effect.NONE,
            silent=(1,),
            help="all cores of this machine share every product (--threads N uses fewer)",
        ),
        Flag(
            name="data-parallel-size",
            kind=Kind.INTEGER,
            short=("-dp",),
            least=1,
            effect=Effect.NONE,
            silent=(1,),
            help="one engine runs all requests together, which is faster on one machine than several",
        ),
        *(
            Flag(name=name, kind=kind, short=short, effect=Effect.REFUSED, silent=silent, help=help_)
            for name, kind, short, silent in (
                ("data-parallel-rank", Kind.INTEGER, ("-dpn",), (0,)),
                ("data-parallel-start-rank", Kind.INTEGER, ("-dpr",), (0,)),
                ("data-parallel-address", Kind.TEXT, ("-dpa",), ("127.0.0.1", "localhost")),
                ("data-parallel-rpc-port", Kind.INTEGER, ("-dpp",), ()),
                ("data-parallel-external-lb", Kind.SWITCH, ("-dpe",), (False,)),
                ("data-parallel-hybrid-lb", Kind.SWITCH, ("-dph",), (False,)),
                ("nnodes", Kind.INTEGER, ("-n",), (1,)),
                ("node-rank", Kind.INTEGER, ("-r",), (0,)),
                ("headless", Kind.SWITCH, (), (False,)),
            )
            for help_ in ("a server runs on one machine; start one on each and put a balancer in front",)
        ),
        *(
            Flag(name=name, kind=kind, short=short, effect=Effect.NONE, silent=silent, help=help_)
            for name, kind, short, silent in (
                ("data-parallel-size-local", Kind.INTEGER, ("-dpl",), (1,)),
                ("data-parallel-backend", Kind.TEXT, ("-dpb",), ("mp",)),
                ("master-addr", Kind.TEXT, (), ("127.0.0.1",)),
                ("master-port", Kind.INTEGER, (), ()),
                ("distributed-executor-backend", Kind.TEXT, (), ("mp", "uni")),
                ("disable-custom-all-reduce", Kind.SWITCH, (), ()),
                ("ray-workers-use-nsight", Kind.SWITCH, (), (False,)),
                ("max-parallel-loading-workers", Kind.INTEGER, (), ()),
                ("worker-cls", Kind.TEXT, (), ("auto",)),
                ("numa-bind", Kind.SWITCH, (), (False,)),
            )
            for help_ in ("one engine process on one machine does all the work",)
        ),
        *(
            Flag(name=name, kind=kind, short=short, effect=Effect.NONE, silent=(False,), help=help_)
            for name, kind, short in (
                ("enable-expert-parallel", Kind.SWITCH, ("-ep",)),
                ("enable-eplb", Kind.SWITCH, ()),
                ("eplb-config", Kind.JSON, ()),
                ("all2all-backend", Kind.TEXT, ()),
            )
            for help_ in ("one machine holds all of a model",)
        ),
    ),
)
