"""The room Run a study: how a study is run, and the way to its two pages."""

from __future__ import annotations

from html import escape

from ganlab.study.design.protocol import DESIGNS

DESIGN_LIST = "".join(f"<li><b>{name}</b>: {escape(words)}</li>" for name, words in DESIGNS.items())
RUN = f"""
<div class='gl-page gl-run'>
<p><a class='gl-link' href='organise' target='_blank'>Organiser's page</a>
<a class='gl-link' href='rate' target='_blank'>Readers' page</a></p>
<ol>
<li><b>Create.</b> Use a generator or your own real and synthetic images; all go through one window into identical
files. Protocol, truth and random seeds are sealed: publish the seal, a SHA-256, before the first answer. A classifier
that sees no anatomy is applied to the images first, and its result is reported with the readers'.</li>
<li><b>Invite.</b> Each reader gets a signed code that contains no name. The readers' page is separate from this app:
one question at a time, with window and zoom, and the whole session works by keyboard. After a break, on another device
or after a server restart, readers continue at the same question, and every answer counts once.</li>
<li><b>Watch</b> the readers' progress; results stay hidden.</li>
<li><b>Lock, unblind, report, export</b>: readings, iMRMC, MRMCaov, BIDS, the sealed protocol, and a certificate of the
blinding.</li>
</ol>
<p>Designs:</p><ul>{DESIGN_LIST}</ul>
<p>A race for a class gives feedback after each image and ranks the players; it is never analysed as a study. To serve
only the study pages, on a separate server:</p>
<pre class='gl-commands'>python -m ganlab study create --model dcgan-nodules --n 60 --readers 4
python -m ganlab study serve --host 0.0.0.0</pre>
<p class='gl-note'>Studies are stored in studies/studies.db, or in the database named by GANLAB_DATABASE_URL. They can
be created over the web if the host has set GANLAB_HOST_SECRET. No names and no addresses are stored; readers can delete
their answers with their code, and all answers are deleted after the day named in the protocol. Not a medical
device.</p>
</div>
"""
