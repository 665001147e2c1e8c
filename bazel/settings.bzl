# SPDX-License-Identifier: Apache-2.0
"""A build setting that takes one of a few words."""

# What a rule or transition that reads the setting gets.
WordInfo = provider(fields = ["value"])

def _word_setting_impl(context):
    value = context.build_setting_value
    if value not in context.attr.words:
        fail("--%s=%s: the value is one of %s" % (context.label, value, ", ".join(context.attr.words)))
    return [WordInfo(value = value)]

word_setting = rule(
    implementation = _word_setting_impl,
    doc = "A command line flag whose value is one of the words given.",
    build_setting = config.string(flag = True),
    attrs = {"words": attr.string_list(mandatory = True)},
)
