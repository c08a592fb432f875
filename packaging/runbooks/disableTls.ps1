<#
.SYNOPSIS
Ends HTTPS at once. Certificates, key, CSR and logs are kept; HTTP goes on.

.DESCRIPTION
For a node in WSL on Windows. Not tried on Windows yet: only the syntax has been checked.

.EXAMPLE
.\disableTls.ps1
#>
[CmdletBinding()]
param(
    [Alias('RunTimeAccountName', 'RunTimeAccount')][string] $mccRunTimeAccount,
    [System.Management.Automation.PSCredential] $mccLocalAccountCredential
)

Import-Module (Join-Path $PSScriptRoot 'Larder.Runbooks.psm1') -Force

exit (Invoke-LarderRunbook -Name 'disableTls.sh' -Account $mccRunTimeAccount -Credential $mccLocalAccountCredential)
