"""Whole mails as programs and models write them: their look is in a style sheet, in gradients, or in Word's own CSS."""

from __future__ import annotations

RESPONSIVE = """<!doctype html><html><head><meta name="viewport" content="width=device-width"><style>
/* GLOBAL RESETS */
img { border: none; max-width: 100%; }
body { background-color: #f6f6f6; font-family: sans-serif; font-size: 14px; line-height: 1.4; margin: 0; padding: 0; }
table { border-collapse: separate; mso-table-lspace: 0pt; width: 100%; }
table td { font-family: sans-serif; font-size: 14px; vertical-align: top; }
.body { background-color: #f6f6f6; width: 100%; }
.container { display: block; margin: 0 auto !important; max-width: 580px; padding: 10px; width: 580px; }
.content { box-sizing: border-box; display: block; margin: 0 auto; max-width: 580px; padding: 10px; }
.main { background: #ffffff; border-radius: 3px; width: 100%; }
.wrapper { box-sizing: border-box; padding: 20px; }
.btn table td { background-color: #ffffff; border-radius: 5px; text-align: center; }
.btn a { background-color: #ffffff; border: solid 1px #3498db; border-radius: 5px; color: #3498db; cursor: pointer;
  display: inline-block; font-weight: bold; padding: 12px 25px; text-decoration: none; }
.btn-primary table td { background-color: #3498db; }
.btn-primary a { background-color: #3498db; border-color: #3498db; color: #ffffff; }
.preheader { color: transparent; display: none; height: 0; max-height: 0; opacity: 0; overflow: hidden;
  mso-hide: all; visibility: hidden; width: 0; }
.footer td { color: #999999; font-size: 12px; text-align: center; }
@media only screen and (max-width: 620px) { table.body .container { width: 100% !important; padding: 0 !important; } }
@media all { .ExternalClass { width: 100%; } .btn-primary a:hover { background-color: #34495e !important; } }
</style></head><body><span class="preheader">This is preheader text.</span>
<table role="presentation" class="body"><tr><td>&nbsp;</td><td class="container"><div class="content">
<table role="presentation" class="main"><tr><td class="wrapper"><p>Hi there,</p><p>Sometimes you want a button.</p>
<table role="presentation" class="btn btn-primary"><tbody><tr><td align="left"><table role="presentation"><tbody><tr>
<td><a href="https://contoso.example/act">Call To Action</a></td></tr></tbody></table></td></tr></tbody></table>
<p>Good luck!</p></td></tr></table><div class="footer"><table><tr><td>Company Inc, 3 Abbey Road</td></tr></table></div>
</div></td><td>&nbsp;</td></tr></table></body></html>"""

TWO_COLUMNS = """<html><head><style type="text/css">
body{margin:0;padding:0;background-color:#DEE0E2;} #bodyTable{background-color:#DEE0E2;} h1,h2{color:#404040;}
#templateContainer{border:1px solid #BBBBBB;background-color:#F4F4F4;width:600px;}
.templateColumnContainer{width:260px;}
.leftColumnContent,.rightColumnContent{color:#505050;font-family:Helvetica;font-size:14px;line-height:150%;
padding:0 20px 20px 20px;text-align:left;} .leftColumnContent{background:#ffe;}
.leftColumnContent a:link, .leftColumnContent a:visited{color:#EB4102;font-weight:normal;}
@media only screen and (max-width: 480px){.templateColumnContainer{display:block !important;width:100% !important;}}
</style></head><body><table id="bodyTable" width="100%"><tr><td align="center"><table id="templateContainer"><tr>
<td align="center" valign="top" class="templateColumnContainer"><table width="100%"><tr><td class="leftColumnContent">
<h2>Left Column</h2>Everything on <a href="https://contoso.example/l">the left</a>.</td></tr></table></td>
<td align="center" valign="top" class="templateColumnContainer"><table width="100%"><tr><td class="rightColumnContent">
<h2>Right Column</h2>Everything on the right.</td></tr></table></td></tr></table></td></tr></table></body></html>"""

NEWSLETTER = """<!doctype html><html><head><!--[if mso]><style>.x{display:none}</style><![endif]--><style>
#outlook a { padding:0; } body { margin:0;padding:0;-webkit-text-size-adjust:100%; }
p { display:block;margin:13px 0; }</style>
<link href="https://fonts.contoso.example/css?family=Ubuntu" rel="stylesheet" type="text/css">
<style type="text/css">@import url(https://fonts.contoso.example/css?family=Ubuntu);</style>
<style type="text/css">@media only screen and (min-width:480px) {
.mj-column-per-50 { width:50% !important; max-width: 50%; } .mj-column-per-33 { width:33.33% !important; } }</style>
<style media="screen and (min-width:480px)">.moz-text-html .mj-column-per-50 { width:50% !important; }</style>
</head><body style="background-color:#eee"><div style="background-color:#eee">
<div style="margin:0px auto;max-width:600px;background:#fff"><table align="center" border="0" cellpadding="0"
cellspacing="0" role="presentation" style="width:100%"><tbody><tr>
<td style="direction:ltr;font-size:0px;padding:20px 0;text-align:center">
<div class="mj-column-per-50 mj-outlook-group-fix" style="font-size:0px;text-align:left;direction:ltr;
display:inline-block;vertical-align:top;width:100%"><div style="font-family:Ubuntu, Arial;font-size:13px;padding:0 25px;
color:#000000">First story</div></div>
<div class="mj-column-per-50 mj-outlook-group-fix" style="font-size:0px;text-align:left;direction:ltr;
display:inline-block;vertical-align:top;width:100%"><div style="font-family:Ubuntu, Arial;font-size:13px;padding:0 25px;
color:#000000">Second story</div></div>
</td></tr></tbody></table></div></div></body></html>"""

REPORT = """<!DOCTYPE html><html><head><style>
:root { --brand: #1f4e79; }
body { font-family: 'Segoe UI', Arial, sans-serif; color: #333; line-height: 1.6; }
.container { max-width: 640px; margin: 0 auto; }
.header { background: var(--brand); color: white; padding: 20px; border-radius: 8px 8px 0 0; }
.kpis { display: flex; gap: 16px; padding: 16px 0; }
.kpi { flex: 1; background: #f3f6fa; padding: 12px; border-left: 4px solid var(--brand); }
.kpi b { font-size: 22px; display: block; }
table.data { width: 100%; border-collapse: collapse; }
table.data th { background: #f2f2f2; text-align: left; }
table.data th, table.data td { border: 1px solid #ddd; padding: 8px; }
table.data tr:nth-child(even) td { background: #fafafa; }
.ok { color: #2e7d32; font-weight: bold; } .late { color: #c62828; font-weight: bold; }
.btn { display: inline-block; background: #1f4e79; color: #fff !important; padding: 10px 18px; border-radius: 4px;
  text-decoration: none; transition: background .2s; } .btn:hover { background: #163a5a; }
</style></head><body><div class="container"><div class="header"><h1>Weekly report</h1></div>
<div class="kpis"><div class="kpi"><b>42</b>orders</div><div class="kpi"><b>7</b>late</div></div>
<table class="data"><tr><th>Order</th><th>State</th></tr><tr><td>1001</td><td class="ok">On time</td></tr>
<tr><td>1002</td><td class="late">Overdue</td></tr></table>
<p><a class="btn" href="https://contoso.example/report">Open the report</a></p></div></body></html>"""

GRADIENTS = """<div style="font-family:Arial;max-width:600px">
<div style="background:linear-gradient(135deg,#667eea 0%,#764ba2 100%);padding:30px;color:#ffffff;border-radius:8px">
<h1 style="margin:0;color:#fff">Welcome aboard</h1><p style="opacity:.9">We are glad that you are here.</p></div>
<div style="display:flex;gap:20px;margin:20px 0"><div style="flex:1;background:#f5f5f5;padding:15px">One</div>
<div style="flex:1;background:#f5f5f5;padding:15px">Two</div></div>
<a href="https://contoso.example/start" style="background-image:linear-gradient(to right,#0b5cad,#00a);color:white;
padding:12px 24px;text-decoration:none;display:inline-block">Get started</a>
<p style="background:url('https://contoso.example/n.png') center/cover;color:#fff;padding:10px">A notice</p>
<h2 style="background:linear-gradient(90deg,#c06,#60c);
-webkit-background-clip:text;-webkit-text-fill-color:transparent">
Colourful words</h2></div>"""

WORD = """<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta name=Generator content="Microsoft Word">
<style><!-- /* Font Definitions */ @font-face {font-family:"Cambria Math"; panose-1:2 4 5 3 5 4 6 3 2 4;}
 /* Style Definitions */ p.MsoNormal, li.MsoNormal, div.MsoNormal
 {margin:0cm; font-size:11.0pt; font-family:"Calibri",sans-serif; mso-fareast-language:EN-US;}
a:link, span.MsoHyperlink {mso-style-priority:99; color:#0563C1; text-decoration:underline;}
p.MsoListParagraph, li.MsoListParagraph {mso-style-priority:34; margin-top:0cm; margin-right:0cm; margin-bottom:0cm;
 margin-left:36.0pt; font-size:11.0pt; font-family:"Calibri",sans-serif;}
@page WordSection1 {size:612.0pt 792.0pt; margin:70.85pt;} div.WordSection1 {page:WordSection1;}
/* List Definitions */ @list l0 {mso-list-id:1;} ul {margin-bottom:0cm;} --></style></head>
<body lang=EN-GB link="#0563C1" vlink="#954F72" style='word-wrap:break-word'><div class=WordSection1>
<p class=MsoNormal>Dear Grace,<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>
<p class=MsoNormal>two points:<o:p></o:p></p>
<p class=MsoListParagraph style='text-indent:-18.0pt;mso-list:l0 level1 lfo1'><![if !supportLists]><span
style='font-family:Symbol;mso-fareast-font-family:Symbol'><span style='mso-list:Ignore'>·<span
style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;&nbsp; </span></span></span><![endif]>The
first point<o:p></o:p></p>
<p class=MsoListParagraph style='text-indent:-18.0pt;mso-list:l0 level1 lfo1'><![if !supportLists]><span
style='font-family:Symbol;mso-fareast-font-family:Symbol'><span style='mso-list:Ignore'>·<span
style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;&nbsp; </span></span></span><![endif]>The
second <a href="https://contoso.example/p">point</a><o:p></o:p></p>
<p class=MsoNormal>Ada<o:p></o:p></p></div></body></html>"""

MAILS = {
    "responsive": RESPONSIVE,
    "two columns": TWO_COLUMNS,
    "newsletter": NEWSLETTER,
    "report": REPORT,
    "gradients": GRADIENTS,
    "word": WORD,
}
