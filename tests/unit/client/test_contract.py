"""The contract as other languages see it."""

import keyword
from importlib import import_module
from importlib.resources import files

import pytest

MODULES = sorted(
    file.name.removesuffix(".py")
    for file in files("twopass.v1").iterdir()
    if file.name.endswith("_pb2.py")
)


def file_of(module):
    return import_module(f"twopass.v1.{module}").DESCRIPTOR


def names_of(message):
    for field in message.fields:
        yield field.name
    for oneof in message.oneofs:
        yield oneof.name
    for nested in message.nested_types:
        yield from names_of(nested)


@pytest.mark.parametrize("module", MODULES)
def test_no_name_is_a_keyword_of_python(module):
    # A keyword does no harm in Go, Java, C# and C++, which have accessors, in TypeScript, which has
    # properties, nor in Rust, which has raw identifiers. Python has none of these.
    file = file_of(module)
    names = {name for m in file.message_types_by_name.values() for name in names_of(m)}
    names |= {method.name for s in file.services_by_name.values() for method in s.methods}
    assert names
    assert not [name for name in names if keyword.iskeyword(name)]


# What every generated class has in C# and in Java, where a field of that name does not compile.
TAKEN = {
    *("equals", "to_string", "get_hash_code", "get_type", "clone", "merge_from", "write_to"),
    *("calculate_size", "descriptor", "parser", "types", "class", "hash_code", "serialized_size"),
    *("all_fields", "unknown_fields", "descriptor_for_type", "default_instance_for_type"),
}


@pytest.mark.parametrize("module", MODULES)
def test_no_field_is_called_as_what_generated_classes_have_themselves(module):
    messages = file_of(module).message_types_by_name.values()
    assert not [name for message in messages for name in names_of(message) if name in TAKEN]


@pytest.mark.parametrize("module", MODULES)
def test_every_file_names_its_package_in_other_languages(module):
    options = file_of(module).GetOptions()
    outer = module.removesuffix("_pb2").capitalize() + "Proto"
    assert options.go_package == "github.com/twopass/twopass/protos/twopass/v1;twopassv1"
    assert (options.java_package, options.java_outer_classname) == ("com.twopass.v1", outer)
    assert options.java_multiple_files
    assert options.csharp_namespace == "Twopass.V1"
    assert (options.php_namespace, options.ruby_package) == (r"Twopass\V1", "Twopass::V1")
