"""Taggers behind HTTP: a JSON API, batches across requests, and one page.

``pybert-crf serve`` runs it. `refusals` says no, `batching` computes, `models` names the taggers, `schema` is
what goes over the wire, `page` sends the files of ``static``, `app` joins them, `gate` stands before it, and
`running` is the process around it. Needs the extra ``serve``.
"""
