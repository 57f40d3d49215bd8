"""A stack that outlives the command that started it, remembered like any lab in the background."""

from natobs.errors import LabError
from natobs.lab import state
from natobs.lab.lab import Lab
from natobs.lab.stack.plan import StackPlan
from natobs.lab.stack.stack import Inputs, Stack, release, require


def up(plan: StackPlan, inputs: Inputs | None = None) -> tuple[state.Saved, bool]:
    """Start a stack in the background, unless it is up already.

    Returns:
        What is known of its lab, and whether it was started just now.

    Raises:
        LabError: it cannot be started, and nothing is left of it; or a lab of its name without a stack is up.
    """
    require()

    def furnish(lab: Lab) -> dict[str, str]:
        stack = Stack(plan, lab, inputs or Inputs())
        stack.start()
        release(stack)
        return stack.urls

    saved, fresh = state.up(*plan.topologies, furnish=furnish)
    if not saved.urls:
        raise LabError(f"lab {saved.name} is up without a stack; first run: natobs lab down --name {saved.name}")
    return saved, fresh
