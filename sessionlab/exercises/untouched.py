"""Whether a learner has changed what was given, a bug to be found, which runs as it stands.

The rules of this file: what counts is what Python makes of it. A comment, a name of a type, another
docstring or layout is no change; another default, base class or ``True`` for ``1`` is one.
"""

from types import CodeType, FunctionType

import sessionlab

_PYTHONS_OWN = {
    *("__module__", "__doc__", "__dict__", "__weakref__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__"),
}


def is_untouched(source: str, name: str, attempt: object) -> bool:
    """Return whether an attempt is what this source defines under the name."""
    given = {**vars(sessionlab), "__name__": "__given__"}
    try:
        exec(compile(source, "<starter>", "exec", dont_inherit=True), given)  # noqa: S102  (ours)
        return _is_same(given[name], attempt)
    except Exception:  # what is compared may be a learner's own, and compare as it likes
        return False


def _is_same(given: object, theirs: object) -> bool:
    if type(given) is not type(theirs):
        return False
    if isinstance(given, type) and isinstance(theirs, type):
        ours, members = _members(given), _members(theirs)
        return (
            given.__bases__ == theirs.__bases__
            and ours.keys() == members.keys()
            and all(_is_same(value, members[name]) for name, value in ours.items())
        )
    if isinstance(given, FunctionType) and isinstance(theirs, FunctionType):
        return _form(given) == _form(theirs)
    if isinstance(given, property | classmethod | staticmethod):
        parts = ("fget", "fset", "fdel", "__func__")
        return all(_is_same(getattr(given, p, None), getattr(theirs, p, None)) for p in parts)
    return given == theirs


def _members(kind: type) -> dict[str, object]:
    return {name: value for name, value in vars(kind).items() if name not in _PYTHONS_OWN}


def _form(function: FunctionType) -> object:
    defaults = function.__defaults__, tuple((function.__kwdefaults__ or {}).items())
    return _form_of_code(function.__code__, function.__doc__), _typed(defaults)


def _form_of_code(code: CodeType, doc: str | None) -> tuple[object, ...]:
    constants = code.co_consts
    if doc is not None and constants[:1] == (doc,):
        constants = (None, *constants[1:])
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    names = code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars
    return code.co_code, code.co_exceptiontable, counts, names, _typed(constants)


def _typed(constant: object) -> object:
    # 1 == True == 1.0; to mend a bug may be to write one for another.
    if isinstance(constant, CodeType):
        return _form_of_code(constant, None)
    if isinstance(constant, tuple):
        return tuple(map(_typed, constant))
    return type(constant), constant
