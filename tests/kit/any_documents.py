"""Any document, and some that are nearly flows."""

from __future__ import annotations

from hypothesis import strategies as st

STEP_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["", "a", "rest", "jq", "{{ x }}", "[", "__end__", "b.yml"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "type",
                    "rest",
                    "jq",
                    "switch",
                    "cases",
                    "step",
                    "when",
                    "default",
                    "data_key",
                    "uri",
                    "headers",
                    "goto",
                    "step_name",
                    "expression",
                    "authentication",
                    "file",
                    "mode",
                    "path",
                    "flow",
                    "set_fact",
                    "value",
                    "zzz",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)
DOCUMENTS = st.one_of(
    STEP_VALUES,
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("name", "steps", "inputs", "finally_step", "max_concurrent", "description", "zzz"), STEP_VALUES
        ),
    ),
    st.fixed_dictionaries(
        {
            "steps": st.lists(
                st.fixed_dictionaries(
                    {
                        "name": st.sampled_from(["a", "b", 1]),
                        "type": st.sampled_from(["rest", "jq", "switch", "flow", "file"]),
                    },
                    optional=dict.fromkeys(
                        ("rest", "jq", "switch", "flow", "file", "when", "on_error_goto"), STEP_VALUES
                    ),
                ),
                max_size=3,
            )
        }
    ),
)
