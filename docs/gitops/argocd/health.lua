-- The health of our kinds for Argo CD, which takes a kind that it does not know for healthy.
local progressing = { status = "Progressing", message = "the operator has not seen this version of the resource yet" }
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return progressing
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local function is(kind, value)
  return conditions[kind] ~= nil and conditions[kind].status == value
end

if is("Paused", "True") and conditions.Paused.reason == "Paused" then
  -- an edit that waits is what a pause is for; anything else that is wrong is told
  if not is("Stalled", "True") or conditions.Stalled.reason == "EditWaiting" then
    return { status = "Suspended", message = conditions.Paused.message }
  end
end
if is("Stalled", "True") then
  return { status = "Degraded", message = conditions.Stalled.message }
end
if is("Reconciling", "True") then
  return { status = "Progressing", message = conditions.Reconciling.message }
end
if is("Ready", "True") then
  return { status = "Healthy", message = conditions.Ready.message }
end
if conditions.Ready ~= nil then
  return { status = "Progressing", message = conditions.Ready.message }
end
return progressing
