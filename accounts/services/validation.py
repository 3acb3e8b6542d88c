"""Problems as Django's ValidationError, by field."""

from collections import defaultdict

from django.core.exceptions import ValidationError

from accounts.rules import name_problems


def check_fields(obj, exclude=(), unique=True, named=""):
    """Validate an object's own fields and names (and uniqueness); raises ValidationError by field, each message with
    the name.
    """
    try:
        obj.clean_fields(exclude=set(exclude))
        refuse(name_problems(obj, exclude))
        if unique:
            obj.validate_unique(exclude=set(exclude))
    except ValidationError as error:
        if not named:
            raise
        raise ValidationError(
            {field: [f"{named}: {words}" for words in lines] for field, lines in error.message_dict.items()}
        )


def refuse(problems, rows=()):
    """Raise a ValidationError by field when there are problems; a problem of a row begins with the row's name."""
    if not problems:
        return
    fields = defaultdict(list)
    for problem in problems:
        name = "" if problem.index is None else f"{rows[problem.index]}: "
        fields[problem.field].append(name + problem.words)
    raise ValidationError(dict(fields))
