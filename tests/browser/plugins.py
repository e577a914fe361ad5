"""Plugin functions of the browser tests, as an administrator would paste them."""

EVENTS = '''"""
title: Every event
version: 1.0
"""
PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="
PAGE = """<h3 id="shown">A chart</h3><p id="reach">unknown</p><div style="height: 260px"></div><script>
let reach = 'closed';
try { parent.document.title; reach = 'open'; } catch {}
try { localStorage.length; reach = 'open'; } catch {}
document.getElementById('reach').textContent = reach;
</script>"""
BAD = "<img src=x onerror='window.top.hacked = 1'><script>window.top.hacked = 1</script>"


class Filter:
    def __init__(self):
        self.toggle = True
        self.icon = "🎈"

    async def inlet(self, body, __event_emitter__, __event_call__, __user__):
        async def tell(kind, **data):
            await __event_emitter__({"type": kind, "data": data})

        asked = body["messages"][-1]["content"]
        if "run a script" in asked:
            value = await __event_call__({"type": "execute", "data": {"code": "return 6 * 7"}})
            store = await __event_call__({"type": "execute", "data": {"code": "return localStorage.length"}})
            body["messages"][-1]["content"] = "Hello"
            await tell("status", description=f"{value} and {list(store)}", done=True)
            return body
        await tell("status", description="Looking around", done=False)
        await tell("status", description="Found {{count}} for {{searchQuery}}" + BAD, done=False,
                   query="owls", urls=["https://example.org/owl", "javascript:alert(1)"])
        yes = await __event_call__({"type": "confirmation", "data": {
            "title": "Go on?", "message": "It takes **long**. " + BAD}})
        name = await __event_call__({"type": "input", "data": {
            "title": "A name", "message": "Which one?", "placeholder": "Any", "value": "Ada"}})
        await tell("notification", type="success", content=f"It was {yes} for {name} " + BAD)
        await tell("message", content=f"**{name}** says: ")
        for kind, place in (("source", "https://example.org/one"), ("citation", "javascript:alert(1)")):
            await tell(kind, document=["Owls see at night. " + BAD], metadata=[{"source": place}],
                       source={"name": kind + " book", "url": place})
        await tell("files", files=[{"type": "image", "name": "dot", "url": PICTURE}])
        await tell("chat:message:files", files=[{"name": "table.csv", "url": "data:text/csv,a%2Cb"}])
        await tell("embeds", embeds=[PAGE])
        await tell("chat:message:embeds", embeds=["https://example.org/page"])
        await tell("status", description="Ready", done=True)
        return body

    async def outlet(self, body):
        body["messages"][-1]["content"] += "\\n\\nSigned by a function. " + BAD
        return body
'''

ACTION = '''"""
title: Louder
icon_url: 📣
"""
from pydantic import BaseModel, Field


class Action:
    class UserValves(BaseModel):
        mark: str = Field("!", title="Mark at the end")
        often: int = Field(1, title="How often")

    async def action(self, body, __user__, __event_emitter__, __event_call__):
        await __event_emitter__({"type": "status", "data": {"description": "Thinking loudly", "done": False}})
        wanted = await __event_call__({"type": "confirmation", "data": {"title": "Louder?", "message": ""}})
        await __event_emitter__({"type": "status", "data": {"description": "Loud", "done": True}})
        if not wanted:
            raise ValueError("You said no, so nothing is louder.")
        valves = __user__["valves"]
        text = body["messages"][-1]["content"].upper() + valves.mark * valves.often
        return {"messages": [{"id": body["id"], "content": text}]}
'''

QUIET = '''"""
title: Quiet
"""
class Filter:
    def __init__(self):
        self.toggle = True

    def outlet(self, body):
        body["messages"][-1]["content"] = "(quietly)"
        return body
'''
