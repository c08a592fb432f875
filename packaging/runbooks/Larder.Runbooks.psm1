# What the PowerShell runbooks have in common: they run the shell runbooks of the same names inside the
# WSL distribution that the node lives in, under the account that owns the distribution.
#
# Not tried on Windows yet: only the syntax has been checked.

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$script:Distribution = if ($env:LARDER_WSL_DISTRIBUTION) { $env:LARDER_WSL_DISTRIBUTION } else { 'Debian' }
$script:RunbookFolder = if ($env:LARDER_RUNBOOK_FOLDER) { $env:LARDER_RUNBOOK_FOLDER } else { '/usr/share/larder/runbooks' }
$script:LogFolder = '/var/lib/larder-certificates/Certificates/logs'

# One argument as CommandLineToArgvW reads it back; in quotes too what cmd.exe would take for its own.
function ConvertTo-CommandLineArgument {
    param([Parameter(Mandatory = $true)][AllowEmptyString()][string] $Value)
    if ($Value -notmatch '[\s"&|<>^();,=]' -and $Value.Length -gt 0) { return $Value }
    $escaped = $Value -replace '(\\*)"', '$1$1\"'
    $escaped = $escaped -replace '(\\+)$', '$1$1'
    return '"' + $escaped + '"'
}

# As a task of the Task Scheduler: a group managed service account has no password to log on with.
function Invoke-AsServiceAccount {
    param(
        [Parameter(Mandatory = $true)][string] $Account,
        [Parameter(Mandatory = $true)][string] $CommandLine,
        [Parameter(Mandatory = $true)][string] $OutputFile
    )
    $task = 'LarderRunbook-' + [guid]::NewGuid().ToString('N')
    $command = '/d /c "wsl.exe ' + $CommandLine + ' > "' + $OutputFile + '" 2>&1"'
    $action = New-ScheduledTaskAction -Execute 'cmd.exe' -Argument $command
    $principal = New-ScheduledTaskPrincipal -UserId $Account -LogonType Password
    Register-ScheduledTask -TaskName $task -Action $action -Principal $principal | Out-Null
    try {
        Start-ScheduledTask -TaskName $task
        $deadline = (Get-Date).AddMinutes(5)
        do {
            Start-Sleep -Milliseconds 500
            # Ready as well before it has begun: then its result is SCHED_S_TASK_HAS_NOT_RUN.
            $has_run = (Get-ScheduledTaskInfo -TaskName $task).LastTaskResult -ne 0x41303
            $ended = $has_run -and (Get-ScheduledTask -TaskName $task).State -eq 'Ready'
        } while (-not $ended -and (Get-Date) -lt $deadline)
        if (-not $ended) { throw "The runbook did not end within five minutes as $Account." }
        return (Get-ScheduledTaskInfo -TaskName $task).LastTaskResult
    }
    finally {
        Unregister-ScheduledTask -TaskName $task -Confirm:$false
    }
}

# The line that Connected Cache for Windows ends a failure with.
function Write-LogFolderAfterError {
    param([Parameter(Mandatory = $true)][int] $Code)
    if ($Code -ne 0) {
        Write-Host "Check logs for detailed error information: $script:LogFolder, in the distribution $script:Distribution"
    }
}

# Runs a shell runbook and writes what it prints; returns its exit code.
function Invoke-LarderRunbook {
    param(
        [Parameter(Mandatory = $true)][string] $Name,
        [string[]] $Arguments = @(),
        [string] $Account = '',
        [System.Management.Automation.PSCredential] $Credential = $null
    )
    $all = @('--distribution', $script:Distribution, '--user', 'root', '--exec', "$script:RunbookFolder/$Name") + $Arguments
    if (-not $Account -and -not $Credential) {
        & wsl.exe @all | Out-Host
        $code = $LASTEXITCODE
        Write-LogFolderAfterError -Code $code
        return $code
    }

    # The task runs cmd.exe, which reads these inside quotes as well.
    if (-not $Credential -and ($all -match '["%]')) {
        throw 'As a service account, no parameter may hold a quotation mark or a percent sign.'
    }
    $line = ($all | ForEach-Object { ConvertTo-CommandLineArgument -Value $_ }) -join ' '
    $folder = Join-Path $env:ProgramData 'Larder'
    New-Item -ItemType Directory -Force -Path $folder | Out-Null
    $output = Join-Path $folder ('runbook-' + [guid]::NewGuid().ToString('N') + '.log')
    $errors = "$output.err"
    try {
        if ($Credential) {
            $process = Start-Process -FilePath 'wsl.exe' -ArgumentList $line -Credential $Credential -Wait -PassThru `
                -NoNewWindow -RedirectStandardOutput $output -RedirectStandardError $errors
            $code = $process.ExitCode
        }
        else {
            $code = Invoke-AsServiceAccount -Account $Account -CommandLine $line -OutputFile $output
        }
        foreach ($file in @($output, $errors)) {
            if (Test-Path -LiteralPath $file) { Get-Content -LiteralPath $file | Out-Host }
        }
        Write-LogFolderAfterError -Code $code
        return $code
    }
    finally {
        Remove-Item -LiteralPath $output, $errors -Force -ErrorAction SilentlyContinue
    }
}

Export-ModuleMember -Function Invoke-LarderRunbook
